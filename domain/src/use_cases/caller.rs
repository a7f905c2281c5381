use crate::model::{DeviceId, SessionId, TokenHash, UserId, Username};

/// An authenticated user, and the device that the user calls from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The user.
    pub user_id: UserId,
    /// The username, with upper and lower case as registered.
    pub username: Username,
    /// The device that the user calls from, and whose mailbox the user reads: the device of the session, or the user's
    /// oldest device if a password authenticated the user.
    pub device: DeviceId,
}

/// A caller authenticated by a session.
#[derive(Debug, Clone)]
pub struct SessionCaller {
    /// The user and the device.
    pub caller: Caller,
    /// The session.
    pub session: SessionId,
    /// The hash of the session's token, to check later whether the session is still open.
    pub token: TokenHash,
}
