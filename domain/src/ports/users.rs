use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Device, DeviceId, DeviceName, Info, PasswordHash, PrivateKey, PublicKey, Session, SessionId, Timestamp, TokenHash,
    User, UserId, Username, Version,
};

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
    /// What its first device is called.
    pub device_name: DeviceName,
    /// What is kept of the token of a first session, where it wants one.
    pub token: Option<TokenHash>,
    /// When it registers.
    pub created_at: Timestamp,
}

/// A user that was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredUser {
    /// The user.
    pub user: User,
    /// Its first device.
    pub device: Device,
    /// Its first session, where it wanted one.
    pub session: Option<Session>,
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

/// What to change of a user; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The public key.
    pub public_key: Option<PublicKey>,
    /// The private key; `Some(None)` takes it away.
    pub private_key: Option<Option<PrivateKey>>,
    /// The info.
    pub info: Option<Info>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateUserOutcome {
    /// It was made; this is the user now.
    Updated(User),
    /// The user has another version than was expected, and stays as it is.
    VersionMismatch,
    /// There is no such user.
    NotFound,
}

/// The users.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user with its first device, that device's empty mailbox, stamped `created_at`, and a session of it where
    /// a token is given.
    ///
    /// MUST return `None` and change nothing where the name is taken in any spelling, or was the name of a user that
    /// was deleted, also when two such calls run at once. MUST NOT give out an identifier that was ever given out before.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was added.
    async fn add(&self, user: NewUser) -> Result<Option<RegisteredUser>, PortError>;

    /// The user of that name.
    ///
    /// MUST find it by any spelling of its name, and give the name as it was registered.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn find(&self, username: &Username) -> Result<Option<User>, PortError>;

    /// The users whose names start with a prefix, in the order of their [keys](Username::key), at most `limit` of them.
    ///
    /// MUST ignore the case of ASCII letters. MUST start behind the name `after` where it is given.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn search(&self, prefix: &str, after: Option<Username>, limit: usize) -> Result<Vec<User>, PortError>;

    /// What it takes to check a login of that name.
    ///
    /// MUST find it by any spelling of its name, and give what is stored at the time of the call.
    ///
    /// # Errors
    ///
    /// Where the store fails.
    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError>;

    /// Changes a user's key and vault, and counts the version up.
    ///
    /// MUST change nothing where an expected version is given and the user has another, also when two such calls run at
    /// once. MUST leave alone what the change does not name.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was changed.
    async fn update(
        &self,
        id: UserId,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<UpdateUserOutcome, PortError>;

    /// Replaces what is kept of a user's password, and ends all its sessions but `keep`.
    ///
    /// MUST return `false` and change nothing where `old` is not what is stored. MUST have ended the sessions, on every
    /// replica, when it returns, and wake who waits on them.
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was changed.
    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
        keep: SessionId,
    ) -> Result<bool, PortError>;

    /// Deletes a user with its devices, their mailboxes and sessions, and returns whether there was one.
    ///
    /// MUST keep nothing of it but what [`Self::add`] needs to refuse the name in future. MUST have ended the sessions, on
    /// every replica, when it returns, and wake who waits on them. What was in the mailboxes MAY be left to
    /// [`Mailboxes::purge`](super::Mailboxes::purge); nobody can read it any more. What the user sent stays with its recipients (D2).
    ///
    /// # Errors
    ///
    /// Where the store fails; then nothing was deleted.
    async fn delete(&self, id: UserId) -> Result<bool, PortError>;
}
