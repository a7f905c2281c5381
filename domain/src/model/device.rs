use super::{DeviceId, DeviceName, SessionId, Timestamp};

/// One installation of a client, with a mailbox of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Permanent unique identifier.
    pub id: DeviceId,
    /// The name that the user chose for the device. May be empty.
    pub name: DeviceName,
    /// The time at which the device was created, by the user's registration or by a login.
    pub created_at: Timestamp,
}

/// A login of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Permanent unique identifier.
    pub id: SessionId,
    /// The device that logged in.
    pub device: DeviceId,
    /// The time at which the session was opened.
    pub created_at: Timestamp,
}
