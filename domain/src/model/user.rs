use super::{Info, PrivateKey, PublicKey, UserId, Username};

/// An account: its public fields, and the vault, which only the user's own clients can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Permanent unique identifier.
    pub id: UserId,
    /// The username, with upper and lower case as registered.
    pub username: Username,
    /// The key with which others encrypt messages to this user.
    pub public_key: PublicKey,
    /// Part of the vault: the private key, encrypted by the client. `None` if no private key is stored.
    pub private_key: Option<PrivateKey>,
    /// Part of the vault: private data of the client.
    pub info: Info,
    /// The version of the user. Each change of the public key or the vault increments the version.
    pub version: Version,
}

/// A counter of the changes to a user. An update can name the version that its client has read. The update is then
/// refused if the user has changed since, so that the client can't overwrite a change that it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(i64);

impl Version {
    /// The version of a new user, before any change.
    pub const FIRST: Self = Self(1);

    /// Wraps a version from a store or a client.
    pub fn new(value: i64) -> Self {
        Self(value)
    }

    /// Returns the version as a number.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns the version after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
