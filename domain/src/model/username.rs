use std::fmt;

/// A user's name: 3 to 32 of `a-z`, `A-Z`, `0-9`, `_` and `-`.
///
/// It keeps the letters as they were given; two names that differ only in ASCII case name the same user, so that
/// nobody poses as `Alice` beside `alice`: [`Self::is_same_as`] tells. (`==` compares the letters as they are.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

/// Why a text is no username.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("username {}", self.reason())]
pub enum UsernameError {
    /// It has fewer characters than [`Username::MIN_LENGTH`].
    TooShort,
    /// It has more characters than [`Username::MAX_LENGTH`].
    TooLong,
    /// It has a character that no username has.
    BadCharacter,
}

impl UsernameError {
    /// The error's text without the name of the field.
    pub fn reason(self) -> String {
        match self {
            Self::TooShort => format!("is shorter than {} characters", Username::MIN_LENGTH),
            Self::TooLong => format!("is longer than {} characters", Username::MAX_LENGTH),
            Self::BadCharacter => "has a character other than a-z, A-Z, 0-9, _ and -".to_owned(),
        }
    }
}

impl Username {
    /// The fewest characters of a username.
    pub const MIN_LENGTH: usize = 3;
    /// The most characters of a username.
    pub const MAX_LENGTH: usize = 32;

    /// Takes a text as a username.
    ///
    /// # Errors
    ///
    /// Where it is too short or too long, or has a character that is not allowed.
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

    /// Whether a username may have this character.
    pub fn allows(character: u8) -> bool {
        character.is_ascii_alphanumeric() || character == b'_' || character == b'-'
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What names are compared and looked up by: the same for all spellings of one name.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether both name the same user.
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
    fn a_username_of_3_to_32_characters_is_taken() {
        for text in ["bob", "Alice_2-x", &"a".repeat(32)] {
            assert_eq!(Username::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn each_fault_of_a_username_has_its_own_error() {
        assert_eq!(Username::new(""), Err(UsernameError::TooShort));
        assert_eq!(Username::new("ab"), Err(UsernameError::TooShort));
        assert_eq!(Username::new(&"a".repeat(33)), Err(UsernameError::TooLong));
        for text in ["has space", "bob!", "élise", "bob\n", "bob\0", "ünï"] {
            assert_eq!(Username::new(text), Err(UsernameError::BadCharacter), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn spellings_of_one_name_share_their_key(text in "[a-zA-Z0-9_-]{3,32}") {
            let name = Username::new(&text).unwrap();
            let shouted = Username::new(&text.to_ascii_uppercase()).unwrap();
            prop_assert_eq!(name.key(), shouted.key());
            prop_assert!(name.is_same_as(&shouted));
        }
    }
}
