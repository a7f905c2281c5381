use async_trait::async_trait;

use crate::model::{Password, PasswordHash};
use crate::ports::{PasswordHasher, PortError};

/// A hasher that does not hash: the hash of a password is the password itself. For tests only.
#[derive(Debug, Default)]
pub struct PlainHasher;

#[async_trait]
impl PasswordHasher for PlainHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
        Ok(PasswordHash::new(password.reveal().to_owned()))
    }

    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
        Ok(hash.is_some_and(|hash| hash.reveal() == password.reveal()))
    }
}
