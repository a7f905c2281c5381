use std::fmt;

/// A username: 3 to 32 characters of `a-z`, `A-Z`, `0-9`, `_` and `-`.
///
/// Upper and lower case are kept as registered, but spellings that differ only in ASCII case refer to the same user, so
/// that `Alice` cannot impersonate `alice`. Compare users with [`Self::is_same_as`]; `==` is case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is not a valid username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("username {}", self.reason())]
pub enum UsernameError {
    /// The text has fewer characters than [`Username::MIN_LENGTH`].
    TooShort,
    /// The text has more characters than [`Username::MAX_LENGTH`].
    TooLong,
    /// The text has a character that is not allowed.
    BadCharacter,
}

impl UsernameError {
    /// Returns the error message without the name of the field.
    pub fn reason(self) -> String {
        match self {
            Self::TooShort => format!("is shorter than {} characters", Username::MIN_LENGTH),
            Self::TooLong => format!("is longer than {} characters", Username::MAX_LENGTH),
            Self::BadCharacter => "has a character other than a-z, A-Z, 0-9, _ and -".to_owned(),
        }
    }
}

impl Username {
    /// Minimum length in characters.
    pub const MIN_LENGTH: usize = 3;
    /// Maximum length in characters.
    pub const MAX_LENGTH: usize = 32;

    /// Validates a username.
    ///
    /// # Errors
    ///
    /// If the text is too short or too long, or has a character that is not allowed.
    pub fn new(text: &str) -> Result<Self, UsernameError> {
        if !text.bytes().all(Self::allows) {
            return Err(UsernameError::BadCharacter);
        }
        match text.len() {
            ..Self::MIN_LENGTH => Err(UsernameError::TooShort),
            Self::MIN_LENGTH..=Self::MAX_LENGTH => Ok(Self(text.to_owned())),
            _ => Err(UsernameError::TooLong),
        }
    }

    /// Returns whether a username may contain this character.
    pub fn allows(character: u8) -> bool {
        character.is_ascii_alphanumeric() || character == b'_' || character == b'-'
    }

    /// Returns the name with its original upper and lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the key under which stores look up the user: the name in lower case. Names that differ only in case have
    /// the same key.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Returns whether both names refer to the same user.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_username_of_3_to_32_characters_is_accepted() {
        for text in ["bob", "Alice_2-x", &"a".repeat(32)] {
            assert_eq!(Username::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_cause_of_an_invalid_username_has_its_own_error() {
        assert_eq!(Username::new(""), Err(UsernameError::TooShort));
        assert_eq!(Username::new("ab"), Err(UsernameError::TooShort));
        assert_eq!(Username::new(&"a".repeat(33)), Err(UsernameError::TooLong));
        for text in ["has space", "bob!", "élise", "bob\n", "bob\0", "ünï"] {
            assert_eq!(Username::new(text), Err(UsernameError::BadCharacter), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn all_spellings_of_a_name_have_the_same_key(text in "[a-zA-Z0-9_-]{3,32}") {
            let name = Username::new(&text).unwrap();
            let upper = Username::new(&text.to_ascii_uppercase()).unwrap();
            prop_assert_eq!(name.key(), upper.key());
            prop_assert!(name.is_same_as(&upper));
        }
    }
}
