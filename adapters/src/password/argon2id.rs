use std::sync::Arc;
use std::thread::available_parallelism;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use tokio::sync::Semaphore;
use woosh_domain::model::{Password, PasswordHash};
use woosh_domain::ports::{PasswordHasher, PortError, Randomness as _};

use crate::randomness::SystemRandomness;

/// Argon2id ([RFC 9106](https://www.rfc-editor.org/rfc/rfc9106)) with 19 MiB of memory, two passes and a parallelism of
/// one, as the [OWASP cheat sheet](https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html)
/// recommends.
///
/// Hashes passwords on blocking threads, at most one per processor at a time. A few hundred calls may queue for a
/// thread. Further calls fail with [`PortError::Unavailable`], so that a flood of wrong passwords delays other logins
/// by a few seconds at most.
#[derive(Debug, Clone)]
pub struct Argon2idHasher {
    /// Permits for calls that hash: one for each processor.
    hashing: Arc<Semaphore>,
    /// Permits for calls that hash a password, or that are queued for hashing.
    admission: Arc<Semaphore>,
}

/// Maximum number of calls that hash a password, or that are queued for hashing. Hashing for all of them takes a few
/// seconds.
const MAX_ADMITTED: usize = 256;

/// A hash that no password matches, with the default parameters. If a user does not exist, the password is verified
/// against this hash, so that the response takes as long as for an existing user (D9).
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGhlcmUu$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Argon2idHasher {
    /// Creates a hasher that uses all processors.
    pub fn new() -> Self {
        let processors = available_parallelism().map_or(1, std::num::NonZero::get);
        Self { hashing: Arc::new(Semaphore::new(processors)), admission: Arc::new(Semaphore::new(MAX_ADMITTED)) }
    }

    /// Computes the Argon2id output of a password with the salt and parameters of the hash `like`. Waits until a thread
    /// is free.
    async fn compute(&self, password: &Password, like: phc::PasswordHash) -> Result<phc::Output, PortError> {
        let _admitted = self.admission.try_acquire().map_err(PortError::unavailable)?;
        let permit = self.hashing.clone().acquire_owned().await.map_err(PortError::fault)?;
        let password = password.clone();
        let output = tokio::task::spawn_blocking(move || {
            let output = compute(&password, &like);
            // The permit is moved into this closure, so that a cancelled call holds its permit until its thread is
            // free.
            drop(permit);
            output
        });
        output.await.map_err(PortError::fault)?
    }
}

impl Default for Argon2idHasher {
    fn default() -> Self {
        Self::new()
    }
}

/// Size in bytes of a memory allocation that is so large that the system allocator always maps it separately, and
/// returns it to the operating system when it is freed. Smaller allocations come from the allocator's arenas, which
/// keep the memory: a few hundred concurrent logins would permanently cost hundreds of megabytes. The unused part of a
/// mapped allocation costs nothing.
const MAPPED_ALLOCATION: usize = 33 * 1024 * 1024;

fn compute(password: &Password, like: &phc::PasswordHash) -> Result<phc::Output, PortError> {
    let fault = |error: &dyn std::fmt::Display| PortError::fault(format!("can't compute a password hash: {error}"));
    let missing = || PortError::fault("the stored password hash has no salt");
    let params = Params::try_from(like).map_err(|error| fault(&error))?;
    let salt = like.salt.as_ref().ok_or_else(missing)?;
    let mut memory = Vec::with_capacity(MAPPED_ALLOCATION / Block::SIZE);
    memory.resize(params.block_count(), Block::default());

    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(password.reveal().as_bytes(), salt, &mut output, memory.as_mut_slice())
        .map_err(|error| fault(&error))?;
    phc::Output::new(&output).map_err(|error| fault(&error))
}

/// Returns a hash that has a new salt and the default parameters of the crate `argon2`, but no output yet. A test
/// checks that these defaults are the parameters that [`Argon2idHasher`] documents.
fn new_hash() -> Result<phc::PasswordHash, PortError> {
    let fault = |error: phc::Error| PortError::fault(error.to_string());
    let salt = &SystemRandomness.bits()?[..phc::Salt::RECOMMENDED_LENGTH];
    Ok(phc::PasswordHash {
        algorithm: phc::Ident::new("argon2id").map_err(fault)?,
        version: Some(Version::V0x13.into()),
        params: phc::ParamsString::try_from(&Params::DEFAULT).map_err(|error| PortError::fault(error.to_string()))?,
        salt: Some(phc::Salt::new(salt).map_err(fault)?),
        hash: None,
    })
}

#[async_trait]
impl PasswordHasher for Argon2idHasher {
    async fn hash(&self, password: &Password) -> Result<PasswordHash, PortError> {
        let mut hash = new_hash()?;
        hash.hash = Some(self.compute(password, hash.clone()).await?);
        Ok(PasswordHash::new(hash.to_string()))
    }

    async fn verify<'a>(&self, password: &Password, hash: Option<&'a PasswordHash>) -> Result<bool, PortError> {
        let text = hash.map_or(DECOY, PasswordHash::reveal);
        let parsed = phc::PasswordHash::new(text).map_err(|error| PortError::fault(error.to_string()))?;
        let expected = parsed.hash;
        let output = self.compute(password, parsed).await?;
        // The comparison takes constant time.
        Ok(expected == Some(output) && hash.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
    use futures_util::FutureExt as _;
    use std::time::{Duration, Instant};

    fn password(text: &str) -> Password {
        Password::new(text.to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_hash_verifies_its_own_password_and_no_other() {
        let hasher = Argon2idHasher::new();
        let hash = hasher.hash(&password("open sesame")).await.unwrap();
        assert!(hasher.verify(&password("open sesame"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(&password("open sesam"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(&password("open sesame"), None).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_are_interchangeable_with_those_of_the_argon2_crate() {
        let (hasher, reference) = (Argon2idHasher::new(), Argon2::default());
        let ours = hasher.hash(&password("open sesame")).await.unwrap();
        let ours = phc::PasswordHash::new(ours.reveal()).unwrap();
        assert!(reference.verify_password(b"open sesame", &ours).is_ok());
        let theirs: phc::PasswordHash = reference.hash_password(b"open sesame").unwrap();
        let theirs = PasswordHash::new(theirs.to_string());
        assert!(hasher.verify(&password("open sesame"), Some(&theirs)).await.unwrap());
    }

    #[tokio::test]
    async fn hashes_have_unique_salts_and_the_same_parameters_as_the_decoy() {
        let hasher = Argon2idHasher::new();
        let one = hasher.hash(&password("open sesame")).await.unwrap();
        let two = hasher.hash(&password("open sesame")).await.unwrap();
        assert_ne!(one, two);
        let parameters = |phc: &str| phc.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(parameters(one.reveal()), "$argon2id$v=19$m=19456,t=2,p=1");
        assert_eq!(parameters(DECOY), parameters(one.reveal()));
    }

    /// Verifies promise D9 (isolation). The limits for the durations are so wide that this test also passes on a busy
    /// machine. The test only shows that a hash is computed for an unknown user as well as for a wrong password.
    /// Another test checks that both hashes have the same parameters, and so take equally long.
    #[tokio::test]
    async fn an_unknown_user_waits_for_a_thread_and_computes_a_hash_as_a_wrong_password_does() {
        let hasher = Argon2idHasher { hashing: Arc::new(Semaphore::new(0)), ..Argon2idHasher::new() };
        let hash = Argon2idHasher::new().hash(&password("open sesame")).await.unwrap();
        let wrong = password("wrong");
        for hash in [Some(&hash), None] {
            let mut verifying = hasher.verify(&wrong, hash);
            assert!((&mut verifying).now_or_never().is_none(), "verified without a thread");
            hasher.hashing.add_permits(1);
            assert!(!verifying.await.unwrap());
            hasher.hashing.acquire().await.unwrap().forget();
        }
        let mut fastest = [Duration::MAX; 2];
        let hasher = Argon2idHasher::new();
        for _ in 0..5 {
            for (fastest, hash) in fastest.iter_mut().zip([Some(&hash), None]) {
                let start = Instant::now();
                assert!(!hasher.verify(&wrong, hash).await.unwrap());
                *fastest = (*fastest).min(start.elapsed());
            }
        }
        // Without the decoy, the ratio would be in the thousands.
        let [known, unknown] = fastest;
        assert!(unknown * 50 > known && known * 50 > unknown, "{known:?} {unknown:?}");
    }

    #[tokio::test]
    async fn a_call_that_exceeds_the_admission_limit_fails_as_unavailable() {
        let hasher = Argon2idHasher { admission: Arc::new(Semaphore::new(2)), ..Argon2idHasher::new() };
        let verify = || async { hasher.verify(&password("wrong"), None).await };
        let (first, second, third) = tokio::join!(verify(), verify(), verify());
        assert!(first.is_ok() && second.is_ok());
        assert!(matches!(third, Err(PortError::Unavailable(_))));
        assert!(verify().await.is_ok());
    }

    #[tokio::test]
    async fn an_invalid_hash_is_a_fault_not_a_wrong_password() {
        let garbage = PasswordHash::new("garbage".to_owned());
        let error = Argon2idHasher::new().verify(&password("open sesame"), Some(&garbage)).await;
        assert!(matches!(error, Err(PortError::Fault(_))));
    }
}
