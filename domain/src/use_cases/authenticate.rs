use std::sync::Arc;

use super::Caller;
use crate::model::{Password, Username};
use crate::ports::{Credential, PasswordHasher, PortError, Users};

/// Checks a username and password.
pub struct Authenticate {
    users: Arc<dyn Users>,
    hasher: Arc<dyn PasswordHasher>,
}

/// Why the authentication failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// The username or the password is wrong. The error does not reveal which (D9).
    #[error("username or password is wrong")]
    Denied,
    /// The store or the password hasher failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl Authenticate {
    /// Creates the use case from its dependencies.
    pub fn new(users: Arc<dyn Users>, hasher: Arc<dyn PasswordHasher>) -> Self {
        Self { users, hasher }
    }

    /// Checks a username and password. `username` is `None` if the client sent a text that is not a valid username. In
    /// that case, the check fails after the time that checking a wrong password takes (D9).
    ///
    /// # Errors
    ///
    /// If the username or the password is wrong, or if the store or the password hasher fails.
    pub async fn execute(&self, username: Option<&Username>, password: &Password) -> Result<Caller, AuthenticateError> {
        let credential = verify(self.users.as_ref(), self.hasher.as_ref(), username, password).await?;
        let credential = credential.ok_or(AuthenticateError::Denied)?;
        Ok(Caller { user_id: credential.user_id, username: credential.username, device: credential.first_device })
    }
}

/// Returns the credential of a user if the password is right. Refusing an unknown username takes as long as refusing a
/// wrong password (D9).
pub(super) async fn verify(
    users: &dyn Users,
    hasher: &dyn PasswordHasher,
    username: Option<&Username>,
    password: &Password,
) -> Result<Option<Credential>, PortError> {
    let credential = match username {
        Some(username) => users.credential(username).await?,
        None => None,
    };
    let hash = credential.as_ref().map(|credential| &credential.password_hash);
    let verified = hasher.verify(password, hash).await?;
    Ok(credential.filter(|_| verified))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::{MockPasswordHasher, MockUsers};

    fn password() -> Password {
        Password::new("open sesame".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn an_unknown_user_takes_a_verification() {
        let mut users = MockUsers::new();
        users.expect_credential().returning(|_| Ok(None));
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().withf(|_, hash| hash.is_none()).times(1).returning(|_, _| Ok(false));
        let authenticate = Authenticate::new(Arc::new(users), Arc::new(hasher));

        let unknown = Username::new("unknown").unwrap();
        let denied = authenticate.execute(Some(&unknown), &password()).await;
        assert!(matches!(denied, Err(AuthenticateError::Denied)));
    }

    #[tokio::test]
    async fn an_invalid_username_takes_a_verification_and_no_lookup() {
        let mut hasher = MockPasswordHasher::new();
        hasher.expect_verify().withf(|_, hash| hash.is_none()).times(1).returning(|_, _| Ok(false));
        let authenticate = Authenticate::new(Arc::new(MockUsers::new()), Arc::new(hasher));

        let denied = authenticate.execute(None, &password()).await;
        assert!(matches!(denied, Err(AuthenticateError::Denied)));
    }

    #[tokio::test]
    async fn a_store_failure_is_not_reported_as_a_wrong_password() {
        let mut users = MockUsers::new();
        users.expect_credential().returning(|_| Err(PortError::unavailable("gone")));
        let authenticate = Authenticate::new(Arc::new(users), Arc::new(MockPasswordHasher::new()));

        let alice = Username::new("alice").unwrap();
        let failed = authenticate.execute(Some(&alice), &password()).await;
        assert!(matches!(failed, Err(AuthenticateError::Port(PortError::Unavailable(_)))));
    }
}
