use async_trait::async_trait;

use super::PortError;
use crate::model::{DeviceId, Info, PasswordHash, PrivateKey, PublicKey, Timestamp, User, UserId, Username};

/// A user to be registered.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The name, not yet known to be free.
    pub username: Username,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// What others encrypt for this user with.
    pub public_key: PublicKey,
    /// The private key, encrypted by the client, where there is one.
    pub private_key: Option<PrivateKey>,
    /// Whatever the client keeps for itself.
    pub info: Info,
    /// When it registers.
    pub created_at: Timestamp,
}

/// What it takes to check a login, and whose it is.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user.
    pub user_id: UserId,
    /// The name as it was registered.
    pub username: Username,
    /// What is kept of the password.
    pub password_hash: PasswordHash,
    /// The oldest of the user's devices.
    pub first_device: DeviceId,
}

/// The users and their devices.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user with its first device and that device's empty mailbox, stamped `created_at`.
    ///
    /// MUST return `None` and change nothing where the name is taken in any spelling, also when two such calls run at
    /// once. MUST NOT give out an identifier that was ever given out before.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was added.
    async fn add(&self, user: NewUser) -> Result<Option<User>, PortError>;

    /// The user of that name.
    ///
    /// MUST find it by any spelling of its name, and give the name as it was registered.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn find(&self, username: &Username) -> Result<Option<User>, PortError>;

    /// What it takes to check a login of that name.
    ///
    /// MUST find it by any spelling of its name, and give what is stored at the time of the call.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError>;

    /// Replaces a user's info, and gives the user as it is then.
    ///
    /// MUST change nothing else. MUST return `None` where there is no such user.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was changed.
    async fn set_info(&self, id: UserId, info: Info) -> Result<Option<User>, PortError>;
}
