use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Contents, Username};

/// A client's own name for a send, so that it happens once however often it is asked for
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// A text is no idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key has to be 1 to {} visible ASCII characters", IdempotencyKey::MAX_LENGTH)]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// The most characters of a key.
    pub const MAX_LENGTH: usize = 255;

    /// Takes a text as a key.
    ///
    /// # Errors
    ///
    /// Where it is empty or too long, or has a character that is not visible ASCII.
    pub fn new(text: &str) -> Result<Self, IdempotencyKeyError> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdempotencyKeyError);
        }
        Ok(Self(text.to_owned()))
    }

    /// The key as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

/// Tells whether two sends under one key are the same: a SHA-256 of what they ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a send. Each part goes in with its length, so that no other parts give the same bytes.
    pub fn of<'a>(recipients: impl Iterator<Item = (&'a Username, &'a Contents)>, ttl_seconds: Option<u64>) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        };
        for (recipient, contents) in recipients {
            add(recipient.key().as_bytes());
            add(contents.as_str().as_bytes());
        }
        if let Some(seconds) = ttl_seconds {
            add(&seconds.to_be_bytes());
        }
        Self(hash.finalize().into())
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii_of_1_to_255_characters() {
        assert!(IdempotencyKey::new("8e03978e-40d5-43dd-bc93-6894a57f9324").is_ok());
        assert!(IdempotencyKey::new(&"k".repeat(255)).is_ok());
        for text in ["", &"k".repeat(256), "a b", "ké", "k\n"] {
            assert_eq!(IdempotencyKey::new(text), Err(IdempotencyKeyError), "{text:?}");
        }
    }

    #[test]
    fn the_fingerprint_tells_sends_apart_by_each_of_their_parts() {
        let of = |recipients: &[(&str, &str)], ttl| {
            let parsed: Vec<_> = recipients
                .iter()
                .map(|(name, text)| (Username::new(name).unwrap(), Contents::new((*text).to_owned()).unwrap()))
                .collect();
            Fingerprint::of(parsed.iter().map(|(name, text)| (name, text)), ttl)
        };
        let send = of(&[("alice", "one"), ("bob", "two")], None);
        assert_eq!(send, of(&[("ALICE", "one"), ("bob", "two")], None));
        for (recipients, ttl) in [
            ([("alice", "one"), ("bob", "too")], None),
            ([("alice", "one"), ("rob", "two")], None),
            ([("alice", "onebob"), ("bob", "two")], None),
            ([("alice", "one"), ("bob", "two")], Some(60)),
        ] {
            assert_ne!(send, of(&recipients, ttl));
        }
    }
}
