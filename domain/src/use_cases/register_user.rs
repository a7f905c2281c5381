use std::sync::Arc;

use super::Room;
use crate::model::{
    Device, DeviceName, Incarnation, Info, Password, PrivateKey, PublicKey, Session, Token, User, Username,
};
use crate::ports::{Clock, NewUser, PasswordHasher, PortError, Randomness, Users};

/// Registers a user.
pub struct RegisterUser {
    users: Arc<dyn Users>,
    hasher: Arc<dyn PasswordHasher>,
    randomness: Arc<dyn Randomness>,
    clock: Arc<dyn Clock>,
    room: Arc<Room>,
}

/// A registration request.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The requested username.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// The key with which others encrypt messages to this user.
    pub public_key: PublicKey,
    /// The private key, encrypted by the client. `None` to store no private key.
    pub private_key: Option<PrivateKey>,
    /// Private data of the client; part of the vault.
    pub info: Info,
    /// The name of the first device.
    pub device_name: DeviceName,
    /// Whether to open a session on the first device.
    pub log_in: bool,
}

/// A user that has been registered.
#[derive(Debug, Clone)]
pub struct Registered {
    /// The user.
    pub user: User,
    /// The first device.
    pub device: Device,
    /// The first session and its token. `None` if no session was requested.
    pub login: Option<(Session, Token)>,
}

/// Why the registration failed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterUserError {
    /// The username is taken, or was the name of a deleted user. Upper and lower case make no difference.
    #[error("username is taken")]
    UsernameTaken,
    /// The store has no room for more data.
    #[error("there is no room for more data")]
    StorageFull,
    /// The store, the password hasher or the source of randomness failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl RegisterUser {
    /// Creates the use case from its dependencies.
    pub fn new(
        users: Arc<dyn Users>,
        hasher: Arc<dyn PasswordHasher>,
        randomness: Arc<dyn Randomness>,
        clock: Arc<dyn Clock>,
        room: Arc<Room>,
    ) -> Self {
        Self { users, hasher, randomness, clock, room }
    }

    /// Registers a user with a first device and its empty mailbox, and opens a session on that device if requested.
    ///
    /// # Errors
    ///
    /// If the username is taken, the disk has too little free space, or the store, the password hasher or the source of
    /// randomness fails.
    pub async fn execute(&self, registration: Registration) -> Result<Registered, RegisterUserError> {
        if !self.room.is_left() {
            return Err(RegisterUserError::StorageFull);
        }
        // Storing the user checks the name again. This check comes before hashing, because hashing is expensive.
        if self.users.find(&registration.username).await?.is_some() {
            return Err(RegisterUserError::UsernameTaken);
        }
        let password_hash = self.hasher.hash(&registration.password).await?;
        let token = if registration.log_in { Some(Token::from_random(self.randomness.bits()?)) } else { None };
        let user = NewUser {
            username: registration.username,
            password_hash,
            public_key: registration.public_key,
            private_key: registration.private_key,
            info: registration.info,
            device_name: registration.device_name,
            incarnation: Incarnation::from_random(self.randomness.bits()?),
            token: token.as_ref().map(Token::hash),
            created_at: self.clock.now(),
        };
        let account = self.users.add(user).await?.ok_or(RegisterUserError::UsernameTaken)?;
        Ok(Registered { user: account.user, device: account.device, login: account.session.zip(token) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PasswordHash, Timestamp, UserId, Version};
    use crate::ports::{MockClock, MockPasswordHasher, MockRandomness, MockUsers};

    fn registration() -> Registration {
        Registration {
            username: Username::new("alice").unwrap(),
            password: Password::new("open sesame".to_owned()).unwrap(),
            public_key: PublicKey::new("key".to_owned()).unwrap(),
            private_key: None,
            info: Info::new(String::new()).unwrap(),
            device_name: DeviceName::new(String::new()).unwrap(),
            log_in: true,
        }
    }

    fn register(users: MockUsers, hasher: MockPasswordHasher) -> RegisterUser {
        let mut randomness = MockRandomness::new();
        randomness.expect_bits().returning(|| Ok([7; 32]));
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(1));
        RegisterUser::new(Arc::new(users), Arc::new(hasher), Arc::new(randomness), Arc::new(clock), Arc::default())
    }

    fn user(registration: Registration) -> User {
        User {
            id: UserId::new(1),
            username: registration.username,
            public_key: registration.public_key,
            private_key: None,
            info: registration.info,
            version: Version::FIRST,
        }
    }

    #[tokio::test]
    async fn a_taken_name_is_refused_without_hashing() {
        let mut users = MockUsers::new();
        users.expect_find().returning(|_| Ok(Some(user(registration()))));
        let refused = register(users, MockPasswordHasher::new()).execute(registration()).await;
        assert!(matches!(refused, Err(RegisterUserError::UsernameTaken)));
    }

    #[tokio::test]
    async fn nothing_is_looked_up_hashed_or_stored_without_room() {
        let register = register(MockUsers::new(), MockPasswordHasher::new());
        let refused = RegisterUser { room: Room::none(), ..register }.execute(registration()).await;
        assert!(matches!(refused, Err(RegisterUserError::StorageFull)));
    }

    #[tokio::test]
    async fn a_name_taken_while_hashing_is_refused() {
        let mut users = MockUsers::new();
        users.expect_find().returning(|_| Ok(None));
        users.expect_add().times(1).returning(|_| Ok(None));
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|_| Ok(PasswordHash::new("hash".to_owned())));
        let refused = register(users, hasher).execute(registration()).await;
        assert!(matches!(refused, Err(RegisterUserError::UsernameTaken)));
    }

    #[tokio::test]
    async fn no_user_is_added_if_hashing_fails() {
        let mut users = MockUsers::new();
        users.expect_find().returning(|_| Ok(None));
        users.expect_add().never();
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_hash().returning(|_| Err(PortError::fault("no memory")));
        let failed = register(users, hasher).execute(registration()).await;
        assert!(matches!(failed, Err(RegisterUserError::Port(PortError::Fault(_)))));
    }
}
