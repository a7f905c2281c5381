use async_trait::async_trait;

use super::PortError;
use crate::model::{
    Device, DeviceId, DeviceName, Incarnation, Info, PasswordHash, PrivateKey, PublicKey, Session, SessionId,
    Timestamp, TokenHash, User, UserId, Username, Version,
};

/// A user to register.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// The requested username, which may already be taken.
    pub username: Username,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The key with which others encrypt messages to this user.
    pub public_key: PublicKey,
    /// The private key, encrypted by the client. `None` to store no private key.
    pub private_key: Option<PrivateKey>,
    /// Private data of the client; part of the vault.
    pub info: Info,
    /// The name of the first device.
    pub device_name: DeviceName,
    /// The incarnation of the mailbox of the first device.
    pub incarnation: Incarnation,
    /// The hash of the token of the first session. `None` to open no session.
    pub token: Option<TokenHash>,
    /// The current time.
    pub created_at: Timestamp,
}

/// A user that has been registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredUser {
    /// The user.
    pub user: User,
    /// The first device.
    pub device: Device,
    /// The first session, if one was opened.
    pub session: Option<Session>,
}

/// A stored password hash and its owner, to check a login.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The user.
    pub user_id: UserId,
    /// The username, with upper and lower case as registered.
    pub username: Username,
    /// The hash of the password.
    pub password_hash: PasswordHash,
    /// The user's oldest device.
    pub first_device: DeviceId,
}

/// A partial update of a user; fields that are `None` remain unchanged.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// The new public key.
    pub public_key: Option<PublicKey>,
    /// The new private key; `Some(None)` removes it.
    pub private_key: Option<Option<PrivateKey>>,
    /// The new info.
    pub info: Option<Info>,
}

/// The outcome of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpdateUserOutcome {
    /// The user was updated. The value is the new state of the user.
    Updated(User),
    /// The user has another version than expected and was not changed.
    VersionMismatch,
    /// The user does not exist.
    NotFound,
}

/// The accounts. Usernames that differ only in ASCII case belong to the same account.
#[cfg_attr(test, mockall::automock)]
#[async_trait]
pub trait Users: Send + Sync {
    /// Adds a user, its first device and the empty mailbox of that device, with the given incarnation, all created at
    /// `created_at`. If a token is given, also opens a session on that device.
    ///
    /// MUST return `None` and change nothing if the name, ignoring ASCII case, is taken or was the name of a deleted
    /// user, even if two calls run concurrently. MUST NOT reuse an identifier.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is added.
    async fn add(&self, user: NewUser) -> Result<Option<RegisteredUser>, PortError>;

    /// Returns the user `username`, or `None` if there is no such user.
    ///
    /// MUST ignore ASCII case. MUST return the name as registered.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn find(&self, username: &Username) -> Result<Option<User>, PortError>;

    /// Returns at most `limit` users whose names start with a prefix, ordered by name in lower case
    /// ([`Username::key`]).
    ///
    /// MUST ignore ASCII case. If `after` is given, MUST return only users ordered after that name.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn search(&self, prefix: &str, after: Option<Username>, limit: usize) -> Result<Vec<User>, PortError>;

    /// Returns the credential that is needed to check a login as `username`, or `None` if there is no such user.
    ///
    /// MUST ignore ASCII case. MUST return the credential that is stored at the time of the call.
    ///
    /// # Errors
    ///
    /// If the store fails.
    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError>;

    /// Updates a user's public key and vault, and increments the version.
    ///
    /// If `expected` is given and the user has another version, MUST change nothing, even if two calls run
    /// concurrently. MUST NOT change fields that are `None` in `change`.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is changed.
    async fn update(
        &self,
        id: UserId,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<UpdateUserOutcome, PortError>;

    /// Replaces a user's password hash, and ends all sessions of the user except `keep`. Returns whether the hash was
    /// replaced.
    ///
    /// MUST return `false` and change nothing if `old` is not the stored hash. When this method returns `true`, all
    /// sessions of the user except `keep` MUST have ended on every replica. MUST notify readers that wait on the
    /// devices of the ended sessions.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is changed.
    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
        keep: SessionId,
    ) -> Result<bool, PortError>;

    /// Deletes a user with its devices, their mailboxes and sessions, and returns whether the user existed.
    ///
    /// MUST keep nothing of the user except what [`Self::add`] needs to refuse the name in future. When this method
    /// returns, the sessions MUST have ended on every replica, and the envelopes of the mailboxes MUST be unreadable.
    /// An implementation MAY leave the deletion of the envelopes to [`Mailboxes::purge`](super::Mailboxes::purge). MUST
    /// notify readers that wait on the user's devices. Messages that the user sent MUST remain with their recipients
    /// (D2).
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, nothing is deleted.
    async fn delete(&self, id: UserId) -> Result<bool, PortError>;
}
