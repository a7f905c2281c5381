use std::fmt;

/// A password as the client sent it. `Debug` output hides the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text is not a valid password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password {}", self.reason())]
pub enum PasswordError {
    /// The text is empty.
    Empty,
    /// The text is longer than [`Password::MAX_BYTES`].
    TooLong,
}

impl PasswordError {
    /// Returns the error message without the name of the field.
    pub fn reason(self) -> String {
        match self {
            Self::Empty => "is empty".to_owned(),
            Self::TooLong => format!("is longer than {} bytes", Password::MAX_BYTES),
        }
    }
}

impl Password {
    /// Maximum length in bytes of UTF-8. A password of this length fits into a request header.
    pub const MAX_BYTES: usize = 4096;

    /// Validates a password.
    ///
    /// # Errors
    ///
    /// If the text is empty or longer than [`Self::MAX_BYTES`].
    pub fn new(text: String) -> Result<Self, PasswordError> {
        match text.len() {
            0 => Err(PasswordError::Empty),
            1..=Self::MAX_BYTES => Ok(Self(text)),
            _ => Err(PasswordError::TooLong),
        }
    }

    /// Returns the password. Only password hashers may call this.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The stored form of a password: a salted hash with its parameters, as a [PHC
/// string](https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md). `Debug` output hides the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string from a password hasher or a store.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// Returns the PHC string. Only password hashers and stores may call this.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_too_long_password_is_rejected() {
        assert_eq!(Password::new(String::new()), Err(PasswordError::Empty));
        assert!(Password::new("p".repeat(4096)).is_ok());
        assert_eq!(Password::new("p".repeat(4097)), Err(PasswordError::TooLong));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        let password = Password::new("hunter2".to_owned()).unwrap();
        let hash = PasswordHash::new("$argon2id$hunter2".to_owned());
        assert!(!format!("{password:?} {hash:?}").contains("hunter2"));
    }
}
