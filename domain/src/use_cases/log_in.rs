use std::sync::Arc;

use super::authenticate::verify;
use crate::model::{Device, DeviceId, DeviceName, Password, Session, Token, UserId, Username};
use crate::ports::{Clock, NewSession, OpenSessionOutcome, PasswordHasher, PortError, Randomness, Sessions, Users};

/// Opens a session on a device.
pub struct LogIn {
    users: Arc<dyn Users>,
    sessions: Arc<dyn Sessions>,
    hasher: Arc<dyn PasswordHasher>,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
}

/// What somebody logs in with.
#[derive(Debug, Clone)]
pub struct Login {
    /// The name, where what was given can be one.
    pub username: Option<Username>,
    /// The password.
    pub password: Password,
    /// The device that it was before, as it says.
    pub device: Option<DeviceId>,
    /// What it is called, where it becomes a new device.
    pub device_name: DeviceName,
}

/// An open session.
#[derive(Debug, Clone)]
pub struct LoggedIn {
    /// The user.
    pub user_id: UserId,
    /// The name as it was registered.
    pub username: Username,
    /// The session.
    pub session: Session,
    /// Its device.
    pub device: Device,
    /// What it proves itself with. It is told this once.
    pub token: Token,
}

/// Why nobody was logged in.
#[derive(Debug, thiserror::Error)]
pub enum LogInError {
    /// The username or the password is wrong. It is not told which (D9).
    #[error("username or password is wrong")]
    Denied,
    /// The user has as many devices as it may have.
    #[error("there are {} devices already: delete one, or log in as one of them", crate::ports::MAX_DEVICES)]
    TooManyDevices,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl LogIn {
    /// Works on these ports.
    pub fn new(
        users: Arc<dyn Users>,
        sessions: Arc<dyn Sessions>,
        hasher: Arc<dyn PasswordHasher>,
        randomness: Arc<dyn Randomness>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { users, sessions, hasher, randomness, clock }
    }

    /// Checks a login, takes up the device where it is the user's own, else makes a new one, and opens a session on it.
    ///
    /// # Errors
    ///
    /// Where the login is wrong, the user has too many devices, or a port fails.
    pub async fn execute(&self, login: Login) -> Result<LoggedIn, LogInError> {
        let username = login.username.as_ref();
        let credential = verify(self.users.as_ref(), self.hasher.as_ref(), username, &login.password).await?;
        let credential = credential.ok_or(LogInError::Denied)?;
        let token = Token::from_random(self.randomness.bits()?);
        let session = NewSession {
            user_id: credential.user_id,
            password_hash: credential.password_hash,
            device: login.device,
            device_name: login.device_name,
            token: token.hash(),
            now: self.clock.now(),
        };
        match self.sessions.open(session).await? {
            OpenSessionOutcome::Opened(session, device) => {
                Ok(LoggedIn { user_id: credential.user_id, username: credential.username, session, device, token })
            }
            OpenSessionOutcome::Superseded => Err(LogInError::Denied),
            OpenSessionOutcome::TooManyDevices => Err(LogInError::TooManyDevices),
        }
    }
}
