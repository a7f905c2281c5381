use std::fmt;

use sha2::{Digest as _, Sha256};

/// The bearer token of a session, or a stream ticket: 256 random bits in hexadecimal. `Debug` output hides the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Creates a token from random bits.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let mut text = String::with_capacity(2 * bytes.len());
        for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        Self(text)
    }

    /// Wraps the text that a client sent. Accepts any text. A text that the server never issued belongs to no session.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the token. The server sends the token only to its owner, and never stores or logs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the hash that the server stores instead of the token. Neither a salt nor a slow hash function is needed,
    /// because the token has 256 random bits.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 hash of a token. The server stores only this hash, never the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Wraps a hash that was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the hash as bytes, for storing and looking up sessions.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_all_its_random_bits_and_debug_output_hides_them() {
        let token = Token::from_random([0xa7; 32]);
        assert_eq!(token.reveal(), "a7".repeat(32));
        assert_eq!(Token::new(token.reveal().to_owned()).hash(), token.hash());
        assert_ne!(Token::from_random([0; 32]).hash(), token.hash());
        assert!(!format!("{token:?}").contains("a7"));
        assert_eq!(format!("{:?}", token.hash()), format!("{:?}", Token::from_random([0; 32]).hash()));
    }
}
