use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Device, DeviceId, DeviceName, Incarnation, PasswordHash, Session, SessionId, Timestamp, TokenHash, UserId, Username,
};

/// A session to open.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// The user that logs in.
    pub user_id: UserId,
    /// The stored hash against which the password was verified.
    pub password_hash: PasswordHash,
    /// The identifier of an existing device, as sent by the client. The device may be another user's, or may not exist.
    pub device: Option<DeviceId>,
    /// Whether to create a device if `device` is not given or is not a device of the user.
    pub may_add_device: bool,
    /// The name of the new device, if one is created.
    pub device_name: DeviceName,
    /// The incarnation of the mailbox of the new device, if one is created.
    pub incarnation: Incarnation,
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
    /// No session was opened, because the password was changed or the user was deleted after the password was verified.
    Superseded,
    /// The user has [`MAX_DEVICES`](crate::model::MAX_DEVICES) devices already.
    TooManyDevices,
    /// The user does not have the given device, and [`NewSession::may_add_device`] was false.
    NoDevice,
}

/// The session, user and device that a token belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOwner {
    /// The session.
    pub session: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The username, with upper and lower case as registered.
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
    /// MUST use the given device if the device belongs to the user. Otherwise MUST create a device with an empty
    /// mailbox, whose creation time is `now` and whose incarnation is the given one, or MUST change nothing if
    /// `may_add_device` is false. The creation time of the session MUST be `now`. MUST change nothing if the given
    /// password hash is no longer the stored one, or if the user would have more than
    /// [`MAX_DEVICES`](crate::model::MAX_DEVICES) devices. If the device would have more than
    /// [`MAX_SESSIONS`](crate::model::MAX_SESSIONS) sessions, MUST end the device's oldest session.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, no session is opened.
    async fn open(&self, session: NewSession) -> Result<OpenSessionOutcome, PortError>;

    /// Returns the owner of a token, or `None` if the token belongs to no open session.
    ///
    /// Once a call that ends a session has returned, MUST NOT find that session on any replica.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError>;

    /// Returns the owner of a token if an earlier call of [`find`](Self::find) has kept the owner in memory. Otherwise
    /// returns `None`.
    ///
    /// Does not ask the store, so the session may have ended on another replica. Callers MUST pass the session on to an
    /// operation that checks whether the session is still open, such as
    /// [`Mailboxes::deliver`](super::Mailboxes::deliver).
    fn recall(&self, token: &TokenHash) -> Option<SessionOwner>;

    /// Returns a user's sessions, oldest first.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError>;

    /// Ends a session of a user. Returns `false` if the user has no session with this identifier.
    ///
    /// MUST NOT end another user's session. MUST notify readers that wait on the device of the ended session.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, the session remains open.
    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError>;
}
