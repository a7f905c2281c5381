use std::fmt;

/// A password as a client sends it. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// Why a text is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("password {}", self.reason())]
pub enum PasswordError {
    /// It has no characters.
    Empty,
    /// It is longer than [`Password::MAX_BYTES`].
    TooLong,
}

impl PasswordError {
    /// The error's text without the name of the field.
    pub fn reason(self) -> String {
        match self {
            Self::Empty => "is empty".to_owned(),
            Self::TooLong => format!("is longer than {} bytes", Password::MAX_BYTES),
        }
    }
}

impl Password {
    /// The most bytes that it takes, as UTF-8: as much as fits a header.
    pub const MAX_BYTES: usize = 4096;

    /// Takes a text as a password.
    ///
    /// # Errors
    ///
    /// Where it is empty or too long.
    pub fn new(text: String) -> Result<Self, PasswordError> {
        match text.len() {
            0 => Err(PasswordError::Empty),
            1..=Self::MAX_BYTES => Ok(Self(text)),
            _ => Err(PasswordError::TooLong),
        }
    }

    /// The secret itself, for hashing alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What is kept of a password: a salted hash with its parameters, as a
/// [PHC string](https://github.com/P-H-C/phc-string-format/blob/master/phc-sf-spec.md). Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes what a password hasher or a store gave out.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for verifying and storing alone.
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
    fn a_password_is_neither_empty_nor_over_its_limit() {
        assert_eq!(Password::new(String::new()), Err(PasswordError::Empty));
        assert!(Password::new("p".repeat(4096)).is_ok());
        assert_eq!(Password::new("p".repeat(4097)), Err(PasswordError::TooLong));
    }

    #[test]
    fn debug_forms_hide_the_secret() {
        let password = Password::new("hunter2".to_owned()).unwrap();
        let hash = PasswordHash::new("$argon2id$hunter2".to_owned());
        assert!(!format!("{password:?} {hash:?}").contains("hunter2"));
    }
}
