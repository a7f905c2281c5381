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
}
