use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use lru::LruCache;
use sha2::Sha256;
use woosh_domain::model::{Password, PasswordHash, Timestamp};
use woosh_domain::ports::{Clock, PasswordHasher, PortError};

/// Remembers for a while what another hasher has verified, so that a client that sends its password with each request
/// does not cost a password hash each time.
///
/// What it keeps is an HMAC of the password and of the hash that it matched, under a key that never leaves the
/// process: neither can be read from it. A changed password has another hash, with another salt, so it is forgotten in
/// the same moment, on every replica.
pub struct CachingHasher<H> {
    inner: H,
    clock: Arc<dyn Clock>,
    /// As long as a block of the hash.
    key: [u8; 64],
    verified: Mutex<LruCache<[u8; 32], Timestamp>>,
}

/// How long a verification is remembered, in microseconds: ten minutes.
const MEMORY: i64 = 10 * 60 * 1_000_000;
/// How many verifications are remembered at most, the latest used ones; about a megabyte.
const CAPACITY: NonZero<usize> = NonZero::new(10_000).unwrap();

impl<H> CachingHasher<H> {
    /// Remembers what `inner` verifies.
    ///
    /// # Errors
    ///
    /// Where the system has no randomness to give.
    pub fn new(inner: H, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let mut key = [0; 64];
        getrandom::fill(&mut key).map_err(PortError::fault)?;
        Ok(Self { inner, clock, key, verified: Mutex::new(LruCache::new(CAPACITY)) })
    }

    fn verified(&self) -> MutexGuard<'_, LruCache<[u8; 32], Timestamp>> {
        // A cache is as good after a panic as before.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, password: &Password, hash: &PasswordHash) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        // A PHC string has no NUL, so no other pair gives the same bytes.
        mac.update(hash.reveal().as_bytes());
        mac.update(&[0]);
        mac.update(password.reveal().as_bytes());
        mac.finalize().into_bytes().into()
    }

    fn remembers(&self, mark: &[u8; 32]) -> bool {
        let age = |since: Timestamp| self.clock.now().micros() - since.micros();
        self.verified().get(mark).is_some_and(|since| (0..MEMORY).contains(&age(*since)))
    }
}

#[async_trait]
impl<H: PasswordHasher> PasswordHasher for CachingHasher<H> {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
        self.inner.hash(password).await
    }

    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
        let mark = hash.map(|hash| self.mark(password, hash));
        if mark.is_some_and(|mark| self.remembers(&mark)) {
            return Ok(true);
        }
        let matches = self.inner.verify(password, hash).await?;
        if let Some(mark) = mark.filter(|_| matches) {
            self.verified().put(mark, self.clock.now());
        }
        Ok(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use woosh_domain::fakes::{ManualClock, PlainHasher};

    /// Counts what it is asked to verify.
    #[derive(Default)]
    struct Counting(Arc<AtomicU32>);

    #[async_trait]
    impl PasswordHasher for Counting {
        async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
            PlainHasher.hash(password).await
        }

        async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
            self.0.fetch_add(1, Ordering::SeqCst);
            PlainHasher.verify(password, hash).await
        }
    }

    struct Scene {
        hasher: CachingHasher<Counting>,
        clock: Arc<ManualClock>,
        verifications: Arc<AtomicU32>,
    }

    impl Scene {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_700_000_000)));
            let verifications = Arc::new(AtomicU32::new(0));
            let hasher = CachingHasher::new(Counting(verifications.clone()), clock.clone()).unwrap();
            Self { hasher, clock, verifications }
        }

        /// Verifies `text` where the password is `actual`, and gives the answer and how many hashes it took.
        async fn verify(&self, text: &str, actual: &str) -> (bool, u32) {
            let before = self.verifications.load(Ordering::SeqCst);
            let password = Password::new(text.to_owned()).unwrap();
            let hash = PasswordHash::new(actual.to_owned());
            let matches = self.hasher.verify(&password, Some(&hash)).await.unwrap();
            (matches, self.verifications.load(Ordering::SeqCst) - before)
        }
    }

    #[tokio::test]
    async fn a_verified_password_costs_no_hash_for_a_while() {
        let scene = Scene::new();
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 0));
        scene.clock.advance(MEMORY - 1);
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 0));
        scene.clock.advance(1);
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
    }

    #[tokio::test]
    async fn a_wrong_password_is_never_remembered() {
        let scene = Scene::new();
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(scene.verify("sesam", "sesame").await, (false, 1));
        assert_eq!(scene.verify("sesam", "sesame").await, (false, 1));
    }

    #[tokio::test]
    async fn a_changed_password_is_forgotten_at_once() {
        let scene = Scene::new();
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
        assert_eq!(scene.verify("sesame", "changed").await, (false, 1));
    }

    #[tokio::test]
    async fn a_clock_that_steps_back_prolongs_no_memory() {
        let scene = Scene::new();
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
        scene.clock.advance(-1);
        assert_eq!(scene.verify("sesame", "sesame").await, (true, 1));
    }
}
