//! A cache from token hash to session owner.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use woosh_domain::model::{SessionId, TokenHash, UserId};
use woosh_domain::ports::SessionOwner;

/// Caches session owners. Code that ends a session must invalidate the session's user in this cache. Other processes
/// can't invalidate this cache. If another process uses the same database, a cached session may have ended already.
pub(crate) struct SessionCache(Mutex<State>);

struct State {
    owners: LruCache<TokenHash, SessionOwner>,
    /// The number of invalidations so far. [`SessionCache::insert`] compares its argument `generation` with this
    /// number, to refuse an owner that was read from the database before an invalidation.
    generation: u64,
}

/// Maximum number of cached sessions, which take about four megabytes. The cache evicts the least recently used
/// sessions.
const CAPACITY: NonZero<usize> = NonZero::new(20_000).unwrap();

impl SessionCache {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { owners: LruCache::new(CAPACITY), generation: 0 }))
    }

    /// Returns the cached owner of a token.
    pub(crate) fn get(&self, token: &TokenHash) -> Option<SessionOwner> {
        self.state().owners.get(token).cloned()
    }

    /// Returns the number of invalidations so far. Call this method before you read an owner from the database, and
    /// pass the number to [`Self::insert`].
    pub(crate) fn generation(&self) -> u64 {
        self.state().generation
    }

    /// Caches the owner of a token, unless [`Self::invalidate`] was called since [`Self::generation`] returned
    /// `generation`.
    pub(crate) fn insert(&self, token: TokenHash, owner: SessionOwner, generation: u64) {
        let mut state = self.state();
        if state.generation == generation {
            state.owners.put(token, owner);
        }
    }

    /// Removes all sessions of a user from the cache.
    pub(crate) fn invalidate(&self, user: UserId) {
        let mut state = self.state();
        state.generation += 1;
        let of_user = state.owners.iter().filter(|(_, owner)| owner.user_id == user);
        let of_user: Vec<_> = of_user.map(|(token, _)| *token).collect();
        for token in of_user {
            state.owners.pop(&token);
        }
    }

    /// Removes a session from the cache.
    pub(crate) fn remove(&self, session: SessionId) {
        let mut state = self.state();
        let token = state.owners.iter().find(|(_, owner)| owner.session == session).map(|(token, _)| *token);
        if let Some(token) = token {
            state.owners.pop(&token);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Ignores poisoning, because a panic under this lock can't leave the cache inconsistent.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::{DeviceId, Token, Username};

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
    fn invalidating_a_user_does_not_affect_other_users() {
        let cache = SessionCache::new();
        for user in [1, 2] {
            cache.insert(token(user), owner(user.into()), cache.generation());
        }
        cache.invalidate(UserId::new(1));
        assert_eq!(cache.get(&token(1)), None);
        assert_eq!(cache.get(&token(2)), Some(owner(2)));
    }

    #[test]
    fn an_owner_read_before_an_invalidation_is_not_cached() {
        let cache = SessionCache::new();
        let before = cache.generation();
        cache.invalidate(UserId::new(1));
        cache.insert(token(1), owner(1), before);
        assert_eq!(cache.get(&token(1)), None);
    }
}
