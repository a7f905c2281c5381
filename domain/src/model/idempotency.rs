use std::fmt;

use sha2::{Digest as _, Sha256};

use super::{Contents, Username};

/// An idempotency key: a text that a client chooses for a send. If the client repeats the request with the same key,
/// the server stores the message only once
/// ([draft-ietf-httpapi-idempotency-key-header](https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)).
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The text is not a valid idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Idempotency-Key has to be 1 to {} visible ASCII characters", IdempotencyKey::MAX_LENGTH)]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Maximum length in characters.
    pub const MAX_LENGTH: usize = 255;

    /// Validates an idempotency key.
    ///
    /// # Errors
    ///
    /// If the text is empty, longer than [`Self::MAX_LENGTH`], or contains anything but visible ASCII characters.
    pub fn new(text: &str) -> Result<Self, IdempotencyKeyError> {
        let fits = (1..=Self::MAX_LENGTH).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdempotencyKeyError);
        }
        Ok(Self(text.to_owned()))
    }

    /// Returns the key unchanged.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

/// The number of a *generation* of idempotency keys. The keys that are stored during the same period, which lasts at
/// least [`ForgetKeys::GENERATION`](crate::use_cases::ForgetKeys::GENERATION), are of one generation. The store counts
/// the generations, so that the age of a key does not depend on any clock that shows the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyGeneration(i64);

impl KeyGeneration {
    /// Wraps the number of a generation.
    pub fn new(number: i64) -> Self {
        Self(number)
    }

    /// Returns the number.
    pub fn get(self) -> i64 {
        self.0
    }

    /// Returns the generation that began `generations` generations before this one.
    pub fn earlier(self, generations: i64) -> Self {
        Self(self.0.saturating_sub(generations))
    }
}

/// A SHA-256 hash of a send request. If an idempotency key is used again, the fingerprints tell a repetition of the
/// same send from a different send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Computes the fingerprint of a send. Hashes the length of each part (a recipient, its contents, the lifetime)
    /// before the part, so that two different sends never hash the same bytes.
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

    /// Returns the hash as bytes.
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
    fn the_fingerprint_depends_on_every_part_of_a_send() {
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
        // The parts keep their limits.
        assert_ne!(of(&[("alice", "x"), ("bob", "")], None), of(&[("alice", "xbob")], None));
        assert_ne!(of(&[("alice", "bob"), ("carol", "")], None), of(&[("alice", ""), ("bobcarol", "")], None));
    }
}
