use std::fmt;

use sha2::{Digest as _, Sha256};

/// What a session proves itself with: 256 random bits, as text. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Makes a token of random bits.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Takes what a client sent. Any text will do: one that was never given out leads to no session.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself, for its owner alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it. The bits are random, so that no salt and no slow hash is needed.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The SHA-256 of a token: all that is kept of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Its bytes, for storing and looking up alone.
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
    fn a_token_carries_all_its_random_bits_and_hides_them_from_logs() {
        let token = Token::from_random([0xa7; 32]);
        assert_eq!(token.reveal(), "a7".repeat(32));
        assert_eq!(Token::new(token.reveal().to_owned()).hash(), token.hash());
        assert_ne!(Token::from_random([0; 32]).hash(), token.hash());
        assert!(!format!("{token:?} {:?}", token.hash()).contains("a7"));
    }
}
