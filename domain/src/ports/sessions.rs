use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Device, DeviceId, DeviceName, PasswordHash, Session, SessionId, Timestamp, TokenHash, UserId, Username,
};

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The user that logs in.
    pub user_id: UserId,
    /// The hash that the password was verified against.
    pub password_hash: PasswordHash,
    /// The existing device to log in on, as the client claims.
    pub device: Option<DeviceId>,
    /// The name of the new device, if one is created.
    pub device_name: DeviceName,
    /// The hash of the session's token.
    pub token: TokenHash,
    /// The current time.
    pub now: Timestamp,
}

/// The outcome of opening a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenSessionOutcome {
    /// The session was opened on this device.
    Opened(Session, Device),
    /// The password was changed or the user deleted after the password was verified.
    Superseded,
    /// The user has [`MAX_DEVICES`](crate::model::MAX_DEVICES) devices already.
    TooManyDevices,
}

/// The session, user and device that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOwner {
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The username, as registered.
    pub username: Username,
    /// The device that logged in.
    pub device: DeviceId,
}

/// The sessions of all devices.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session on a device of the user.
    ///
    /// MUST use the given device if it is the user's own; otherwise MUST create one with an empty mailbox, both created
    /// at `now`. MUST change nothing if the password hash is no longer the stored one, or if the user would have more
    /// than [`MAX_DEVICES`](crate::model::MAX_DEVICES) devices. If the device would have more than
    /// [`MAX_SESSIONS`](crate::model::MAX_SESSIONS) sessions, MUST end its oldest one.
    ///
    /// # Errors
    ///
    /// If the store fails; no session is opened then.
    async fn open(&self, session: NewSession) -> Result<OpenSessionOutcome, PortError>;

    /// Returns the owner of a token.
    ///
    /// MUST NOT find a session, on any replica, once the call that ended it has returned.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError>;

    /// Returns a user's sessions, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError>;

    /// Ends a session, and returns whether the user had such a session.
    ///
    /// MUST NOT end another user's session. MUST notify readers that wait on its device.
    ///
    /// # Errors
    ///
    /// If the store fails; the session remains open then.
    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError>;
}
