use super::{DeviceId, DeviceName, SessionId, Timestamp};

/// One installation of a client, with a mailbox of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Names the device for good.
    pub id: DeviceId,
    /// What its owner calls it; may be empty.
    pub name: DeviceName,
    /// When it first logged in.
    pub created_at: Timestamp,
}

/// A login of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Names the session for good.
    pub id: SessionId,
    /// The device that logged in.
    pub device: DeviceId,
    /// When it logged in.
    pub created_at: Timestamp,
}
