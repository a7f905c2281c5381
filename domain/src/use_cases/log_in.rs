use std::sync::Arc;

use super::Room;
use super::authenticate::verify;
use crate::model::{
    Device, DeviceId, DeviceName, Incarnation, MAX_DEVICES, Password, Session, Token, UserId, Username,
};
use crate::ports::{Clock, NewSession, OpenSessionOutcome, PasswordHasher, PortError, Randomness, Sessions, Users};

/// Opens a session on a device.
pub struct LogIn {
    users: Arc<dyn Users>,
    sessions: Arc<dyn Sessions>,
    hasher: Arc<dyn PasswordHasher>,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
    room: Arc<Room>,
}

/// A login request.
#[derive(Debug, Clone)]
pub struct Login {
    /// The username. `None` if the client sent a text that is not a valid username.
    pub username: Option<Username>,
    /// The password.
    pub password: Password,
    /// The identifier of an existing device, as sent by the client. The device may be another user's, or may not exist.
    pub device: Option<DeviceId>,
    /// The name of the new device, if one is created.
    pub device_name: DeviceName,
}

/// The result of a successful login.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The user.
    pub user_id: UserId,
    /// The username, with upper and lower case as registered.
    pub username: Username,
    /// The session.
    pub session: Session,
    /// The device that logged in.
    pub device: Device,
    /// The bearer token of the session. The store keeps only its hash, so the server cannot return the token again.
    pub token: Token,
}

/// Why the login failed.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// The username or the password is wrong. The error does not reveal which (D9).
    #[error("username or password is wrong")]
    Denied,
    /// The user has [`MAX_DEVICES`] devices already.
    #[error("the user has {} devices already: delete one, or log in as one of them", MAX_DEVICES)]
    TooManyDevices,
    /// The store has no room for another device.
    #[error("there is no room for another device")]
    StorageFull,
    /// The store, the password hasher or the source of randomness failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl LogIn {
    /// Creates the use case from its dependencies.
    pub fn new(
        users: Arc<dyn Users>,
        sessions: Arc<dyn Sessions>,
        hasher: Arc<dyn PasswordHasher>,
        randomness: Arc<dyn Randomness>,
        clock: Arc<dyn Clock>,
        room: Arc<Room>,
    ) -> Self {
        Self { users, sessions, hasher, randomness, clock, room }
    }

    /// Checks a username and password, and opens a session. Uses the given device if the device belongs to the user.
    /// Otherwise creates a new device, if the store has room.
    ///
    /// # Errors
    ///
    /// If the username or the password is wrong, the user has too many devices, the disk has too little free space for
    /// another device, or the store, the password hasher or the source of randomness fails.
    pub async fn execute(&self, login: Login) -> Result<LoggedIn, LogInError> {
        let username = login.username.as_ref();
        let credential = verify(self.users.as_ref(), self.hasher.as_ref(), username, &login.password).await?;
        let credential = credential.ok_or(LogInError::Denied)?;
        let token = Token::from_random(self.randomness.bits()?);
        let session = NewSession {
            user_id: credential.user_id,
            password_hash: credential.password_hash,
            device: login.device,
            may_add_device: self.room.is_left(),
            device_name: login.device_name,
            incarnation: Incarnation::from_random(self.randomness.bits()?),
            token: token.hash(),
            now: self.clock.now(),
        };
        match self.sessions.open(session).await? {
            OpenSessionOutcome::Opened(session, device) => {
                Ok(LoggedIn { user_id: credential.user_id, username: credential.username, session, device, token })
            }
            OpenSessionOutcome::Superseded => Err(LogInError::Denied),
            OpenSessionOutcome::TooManyDevices => Err(LogInError::TooManyDevices),
            OpenSessionOutcome::NoDevice => Err(LogInError::StorageFull),
        }
    }
}
