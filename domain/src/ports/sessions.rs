use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Device, DeviceId, DeviceName, PasswordHash, Session, SessionId, Timestamp, TokenHash, UserId, Username,
};

/// The most devices of a user: each costs every send to it.
pub const MAX_DEVICES: usize = 32;
/// The most sessions of a device.
pub const MAX_SESSIONS: usize = 16;

/// A session to be opened.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The user that logs in.
    pub user_id: UserId,
    /// What its password was verified against.
    pub password_hash: PasswordHash,
    /// The device that it was before, as it says.
    pub device: Option<DeviceId>,
    /// What it is called, where it becomes a new device.
    pub device_name: DeviceName,
    /// What is kept of its token.
    pub token: TokenHash,
    /// The present moment.
    pub now: Timestamp,
}

/// What became of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenSessionOutcome {
    /// The session is open on this device.
    Opened(Session, Device),
    /// The password was changed, or the user deleted, since it was verified.
    Superseded,
    /// The user has as many devices as it may have.
    TooManyDevices,
}

/// Whose a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOwner {
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The name as it was registered.
    pub username: Username,
    /// The device that logged in.
    pub device: DeviceId,
}

/// The logins of devices.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Opens a session on a device of the user.
    ///
    /// MUST take up the device that it names where that is the user's own, else make a new one with an empty mailbox,
    /// stamped `now`. MUST open nothing where the password's hash is not the one stored any more, or where it would be
    /// one device more than [`MAX_DEVICES`]. Beyond [`MAX_SESSIONS`] of one device the oldest MUST end.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was opened.
    async fn open(&self, session: NewSession) -> Result<OpenSessionOutcome, PortError>;

    /// Whose a token is.
    ///
    /// MUST NOT find a session that has ended, on whichever replica, once what ended it has returned.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError>;

    /// The sessions of a user, oldest first.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError>;

    /// Ends a session, and returns whether the user had it.
    ///
    /// MUST leave alone what is another user's. MUST wake who waits on its device.
    ///
    /// # Errors
    ///
    /// Where the store fails; then it goes on.
    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError>;
}
