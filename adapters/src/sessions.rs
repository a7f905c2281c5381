//! A memory of whose tokens are.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use woosh_domain::model::{TokenHash, UserId};
use woosh_domain::ports::SessionOwner;

/// Remembers sessions, so that a token that was just checked costs no trip to the database. It forgets those that end in
/// the same step that ends them, so it is for a database that no other process writes.
pub(crate) struct SessionMemory(Option<Mutex<Remembered>>);

struct Remembered {
    owners: LruCache<TokenHash, SessionOwner>,
    /// Counts what was forgotten, so that nobody puts in what they read before.
    generation: u64,
}

/// How many sessions are remembered, the latest used ones; about four megabytes.
const CAPACITY: NonZero<usize> = NonZero::new(20_000).unwrap();

impl SessionMemory {
    pub(crate) fn new() -> Self {
        Self(Some(Mutex::new(Remembered { owners: LruCache::new(CAPACITY), generation: 0 })))
    }

    /// Remembers nothing: for a database in which others end sessions as well.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    pub(crate) fn get(&self, token: &TokenHash) -> Option<SessionOwner> {
        self.remembered()?.owners.get(token).cloned()
    }

    /// Ask for this before reading what is to be [put](Self::put) in.
    pub(crate) fn generation(&self) -> u64 {
        self.remembered().map_or(0, |remembered| remembered.generation)
    }

    /// Remembers whose a token is, unless something was forgotten since that generation.
    pub(crate) fn put(&self, token: TokenHash, owner: SessionOwner, generation: u64) {
        if let Some(mut remembered) = self.remembered()
            && remembered.generation == generation
        {
            remembered.owners.put(token, owner);
        }
    }

    /// Forgets a user's sessions.
    pub(crate) fn forget(&self, user: UserId) {
        let Some(mut remembered) = self.remembered() else {
            return;
        };
        remembered.generation += 1;
        let of_user = remembered.owners.iter().filter(|(_, owner)| owner.user_id == user);
        let of_user: Vec<_> = of_user.map(|(token, _)| *token).collect();
        for token in of_user {
            remembered.owners.pop(&token);
        }
    }

    fn remembered(&self) -> Option<MutexGuard<'_, Remembered>> {
        // A cache is as good after a panic as before.
        self.0.as_ref().map(|remembered| remembered.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::{DeviceId, SessionId, Token, Username};

    fn token(number: u8) -> TokenHash {
        Token::from_random([number; 32]).hash()
    }

    fn owner(user: i64) -> SessionOwner {
        SessionOwner {
            session: SessionId::new(user),
            user_id: UserId::new(user),
            username: Username::new("alice").unwrap(),
            device: DeviceId::new(user),
        }
    }

    #[test]
    fn a_user_is_forgotten_and_no_other() {
        let memory = SessionMemory::new();
        for user in [1, 2] {
            memory.put(token(user), owner(user.into()), memory.generation());
        }
        memory.forget(UserId::new(1));
        assert_eq!(memory.get(&token(1)), None);
        assert_eq!(memory.get(&token(2)), Some(owner(2)));
    }

    #[test]
    fn what_was_read_before_something_was_forgotten_is_not_remembered() {
        let memory = SessionMemory::new();
        let before = memory.generation();
        memory.forget(UserId::new(1));
        memory.put(token(1), owner(1), before);
        assert_eq!(memory.get(&token(1)), None);
    }
}
