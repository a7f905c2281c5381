use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use lru::LruCache;
use sha2::Sha256;
use woosh_domain::model::{Password, PasswordHash, Timestamp};
use woosh_domain::ports::{Clock, PasswordHasher, PortError, Randomness as _};

use crate::randomness::SystemRandomness;

/// Wraps a password hasher, and caches its successful verifications. A client of the classic API (the deprecated
/// predecessor of v1) sends its password with each request. Without the cache, each of these requests would cost a
/// password hash.
///
/// A cache key is an HMAC of the password and of the stored hash that matched it. The secret of the HMAC never leaves
/// the process, so neither the password nor the hash can be recovered from a cache key. Changing a password changes its
/// stored hash and salt, so cached verifications of the old password stop matching immediately, on every replica.
pub struct CachingHasher<H> {
    inner: H,
    clock: Arc<dyn Clock>,
    /// The secret of the HMAC. It has the block size of SHA-256, so that HMAC neither pads nor hashes it.
    key: [u8; 64],
    /// The time of each successful verification, by cache key.
    cache: Mutex<LruCache<[u8; 32], Timestamp>>,
}

/// The time for which a verification is cached, in microseconds: ten minutes.
const CACHE_DURATION: i64 = 10 * 60 * 1_000_000;
/// Maximum number of cached verifications. A full cache takes about one megabyte, and evicts the verification that was
/// used least recently.
const CAPACITY: NonZero<usize> = NonZero::new(10_000).unwrap();

impl<H> CachingHasher<H> {
    /// Creates a hasher that caches the successful verifications of `inner`.
    ///
    /// # Errors
    ///
    /// If the operating system can't provide randomness.
    pub fn new(inner: H, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let mut key = [0; 64];
        for half in key.chunks_exact_mut(32) {
            half.copy_from_slice(&SystemRandomness.bits()?);
        }
        Ok(Self { inner, clock, key, cache: Mutex::new(LruCache::new(CAPACITY)) })
    }

    fn cache(&self) -> MutexGuard<'_, LruCache<[u8; 32], Timestamp>> {
        // Ignores poisoning, because a panic under this lock can't leave the cache inconsistent.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cache_key(&self, password: &Password, hash: &PasswordHash) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        // A NUL separates the hash from the password. The hash, a PHC string, contains no NUL, so no two pairs have the
        // same encoding.
        mac.update(hash.reveal().as_bytes());
        mac.update(&[0]);
        mac.update(password.reveal().as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn is_cached(&self, cache_key: &[u8; 32]) -> bool {
        let age = |since: Timestamp| self.clock.now().micros() - since.micros();
        self.cache().get(cache_key).is_some_and(|since| (0..CACHE_DURATION).contains(&age(*since)))
    }
}

#[async_trait]
impl<H: PasswordHasher> PasswordHasher for CachingHasher<H> {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
        self.inner.hash(password).await
    }

    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
        let cache_key = hash.map(|hash| self.cache_key(password, hash));
        if cache_key.is_some_and(|cache_key| self.is_cached(&cache_key)) {
            return Ok(true);
        }
        let matches = self.inner.verify(password, hash).await?;
        if let Some(cache_key) = cache_key.filter(|_| matches) {
            self.cache().put(cache_key, self.clock.now());
        }
        Ok(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use woosh_domain::fakes::{ManualClock, PlainHasher};

    /// Counts verifications.
    #[derive(Default)]
    struct CountingHasher(Arc<AtomicU32>);

    #[async_trait]
    impl PasswordHasher for CountingHasher {
        async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
            PlainHasher.hash(password).await
        }

        async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            PlainHasher.verify(password, hash).await
        }
    }

    struct Fixture {
        hasher: CachingHasher<CountingHasher>,
        clock: Arc<ManualClock>,
        verifications: Arc<AtomicU32>,
    }

    impl Fixture {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
            let verifications = Arc::new(AtomicU32::new(0));
            let hasher = CachingHasher::new(CountingHasher(verifications.clone()), clock.clone()).unwrap();
            Self { hasher, clock, verifications }
        }

        /// Verifies `text` against the password `actual`. Returns whether it matches, and how many hashes were
        /// computed.
        async fn verify(&self, text: &str, actual: &str) -> (bool, u32) {
            let before = self.verifications.load(Ordering::SeqCst);
            let password = Password::new(text.to_owned()).unwrap();
            let hash = PasswordHash::new(actual.to_owned());
            let matches = self.hasher.verify(&password, Some(&hash)).await.unwrap();
            (matches, self.verifications.load(Ordering::SeqCst) - before)
        }
    }

    #[tokio::test]
    async fn a_verified_password_is_cached_until_the_cache_duration_elapses() {
        let fixture = Fixture::new();
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 0));
        fixture.clock.advance(CACHE_DURATION - 1);
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 0));
        fixture.clock.advance(1);
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
    }

    #[tokio::test]
    async fn a_wrong_password_is_never_cached() {
        let fixture = Fixture::new();
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(fixture.verify("sesam", "sesame").await, (false, 1));
        assert_eq!(fixture.verify("sesam", "sesame").await, (false, 1));
    }

    #[tokio::test]
    async fn changing_the_password_invalidates_its_cached_verification() {
        let fixture = Fixture::new();
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(fixture.verify("sesame", "changed").await, (false, 1));
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_does_not_extend_the_cache_duration() {
        let fixture = Fixture::new();
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
        fixture.clock.advance(-1);
        assert_eq!(fixture.verify("sesame", "sesame").await, (true, 1));
    }
}
