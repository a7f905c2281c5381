use super::{Info, PrivateKey, PublicKey, UserId, Username};

/// An account: what others see of it, and its vault, which only its owner sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Names the user for good.
    pub id: UserId,
    /// The name as it was registered.
    pub username: Username,
    /// What others encrypt for this user with.
    pub public_key: PublicKey,
    /// Vault: the private key, encrypted by the client, where there is one.
    pub private_key: Option<PrivateKey>,
    /// Vault: whatever the client keeps for itself.
    pub info: Info,
    /// Counts the changes of the key and the vault.
    pub version: Version,
}

/// Counts the changes of something, so that nobody overwrites what they have not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version(i64);

impl Version {
    /// What was never changed.
    pub const FIRST: Self = Self(1);

    /// Takes the version as a store or a client has it.
    pub fn new(value: i64) -> Self {
        Self(value)
    }

    /// The version as a number.
    pub fn get(self) -> i64 {
        self.0
    }

    /// The version after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}
