use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::sweep::BATCH;
use crate::model::KeyGeneration;
use crate::ports::{LocalClock, Mailboxes, PortError};

/// Forgets idempotency keys at least a day after they were stored (D4). Each server runs this use case periodically in
/// the background.
///
/// # Why no key is forgotten within a day
///
/// The age of a key is counted in generations, never read from a clock that shows the time of day.
///
/// 1. Each generation lasts at least an hour ([`Self::GENERATION`]). A server ends a generation only an hour after the
///    server first read that this generation is current. The generation began before that reading. The server measures
///    the hour with its monotonic clock, which may stand still, but never runs ahead.
/// 2. A key is stored in a transaction that reads the current generation *g*. The transaction takes less time than a
///    generation lasts, so the key is stored before the generation *g* + 1 ends.
/// 3. The key is deleted only when the current generation is at least *g* + 26 ([`Self::KEPT`]). By then, the 24
///    generations *g* + 2 to *g* + 25 have passed, which last at least a day.
///
/// The proof uses no wall clock, no `sent_at` and no clock of the database, so it holds even if all of them are wrong.
///
/// Keys are kept longer if no server runs, or if machines are suspended. They are also kept longer if every server
/// restarts more often than once an hour, because a server that starts has not read any generation yet.
pub struct ForgetKeys {
    mailboxes: Arc<dyn Mailboxes>,
    local: Arc<dyn LocalClock>,
    /// The current generation, as this server last read it from the store, and the time at which this server first read
    /// that this generation is current. The time is of the monotonic clock. `None` before the first reading.
    seen: Mutex<Option<(KeyGeneration, Duration)>>,
}

impl ForgetKeys {
    /// Minimum duration of a generation of keys. Longer than any transaction.
    pub const GENERATION: Duration = Duration::from_secs(60 * 60);
    /// The keys of the current generation and of this many generations before it are kept. 24 generations last at least
    /// a day. One more is needed because a transaction may store its key after the generation that it read has ended.
    pub const KEPT: i64 = 25;
    /// Minimum time for which an idempotency key is stored: one day.
    pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

    /// Creates the use case from its dependencies.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, local: Arc<dyn LocalClock>) -> Self {
        Self { mailboxes, local, seen: Mutex::new(None) }
    }

    /// Ends the current generation if it has lasted for at least [`Self::GENERATION`], and deletes old keys.
    ///
    /// # Errors
    ///
    /// If the store fails. Some of the keys may have been deleted already.
    pub async fn execute(&self) -> Result<(), PortError> {
        let current = self.mailboxes.key_generation().await?;
        if self.duration_of(current) >= Self::GENERATION {
            self.mailboxes.end_key_generation(current).await?;
        }
        let before = current.earlier(Self::KEPT);
        while self.mailboxes.expire_idempotency_keys(before, BATCH).await? >= BATCH as u64 {}
        Ok(())
    }

    /// Returns how long ago this server first read that `current` is the current generation. Zero if this is the first
    /// time. `current` must be the generation that the server has just read.
    fn duration_of(&self, current: KeyGeneration) -> Duration {
        let now = self.local.read().monotonic;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((generation, since)) if generation == current => now.saturating_sub(since),
            _ => {
                *seen = Some((current, now));
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::ports::{LocalTime, MockMailboxes};

    /// The clocks of a machine. The value is the time of the monotonic clock, in seconds. The wall clock always shows
    /// the start of 1970.
    #[derive(Default)]
    struct Machine(Mutex<u64>);

    impl LocalClock for Machine {
        fn read(&self) -> LocalTime {
            LocalTime { monotonic: Duration::from_secs(*self.0.lock().unwrap()), wall: Timestamp::EPOCH }
        }
    }

    /// Runs the use case every ten seconds, for `seconds` seconds of the monotonic clock. Returns the times at which
    /// the use case ended a generation, as seconds of this clock. The simulated store adds these times to `ended`.
    async fn ends(forget: &ForgetKeys, machine: &Machine, ended: &Mutex<Vec<u64>>, seconds: u64) -> Vec<u64> {
        for _ in 0..seconds / 10 {
            forget.execute().await.unwrap();
            *machine.0.lock().unwrap() += 10;
        }
        std::mem::take(&mut ended.lock().unwrap())
    }

    #[tokio::test]
    async fn a_generation_ends_an_hour_after_this_server_has_seen_it() {
        let (machine, ended, current) = <(Arc<Machine>, Arc<Mutex<Vec<u64>>>, Arc<Mutex<i64>>)>::default();
        let mut mailboxes = MockMailboxes::new();
        let generation = current.clone();
        mailboxes.expect_key_generation().returning(move || Ok(KeyGeneration::new(*generation.lock().unwrap())));
        let (clock, ends_at, generation) = (machine.clone(), ended.clone(), current.clone());
        mailboxes.expect_end_key_generation().returning(move |ended| {
            assert_eq!(ended.get(), *generation.lock().unwrap());
            *generation.lock().unwrap() += 1;
            ends_at.lock().unwrap().push(*clock.0.lock().unwrap());
            Ok(())
        });
        mailboxes.expect_expire_idempotency_keys().returning(|_, _| Ok(0));
        let mailboxes = Arc::new(mailboxes);
        let forget = ForgetKeys::new(mailboxes.clone(), machine.clone());
        assert_eq!(ends(&forget, &machine, &ended, 7300).await, [3600, 7210]);
        // Another server ends the generation at 7300.
        *current.lock().unwrap() += 1;
        assert_eq!(ends(&forget, &machine, &ended, 3700).await, [7300 + 3600]);
        // A server that starts does not know when the generation began.
        let forget = ForgetKeys::new(mailboxes, machine.clone());
        assert_eq!(ends(&forget, &machine, &ended, 3700).await, [11_000 + 3600]);
    }

    #[tokio::test]
    async fn keys_that_are_old_enough_are_deleted_in_batches() {
        let mut mailboxes = MockMailboxes::new();
        let mut batches = [1000, 1000, 3].into_iter();
        mailboxes.expect_key_generation().returning(|| Ok(KeyGeneration::new(30)));
        mailboxes
            .expect_expire_idempotency_keys()
            .withf(|before, limit| (before.get(), *limit) == (5, 1000))
            .times(3)
            .returning(move |_, _| Ok(batches.next().expect("too many batches")));
        ForgetKeys::new(Arc::new(mailboxes), Arc::new(Machine::default())).execute().await.unwrap();
    }

    #[test]
    fn the_generations_that_are_kept_last_a_day_even_if_a_transaction_is_late() {
        let whole = u32::try_from(ForgetKeys::KEPT - 1).unwrap();
        assert_eq!(ForgetKeys::GENERATION * whole, ForgetKeys::RETENTION);
    }
}
