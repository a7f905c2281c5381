use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::model::Timestamp;
use crate::ports::{Clock, LocalClock, PortError, TimeStore};
use crate::timekeeping::{ClockChange, Sample, SteadyClock, Timekeeper};

/// Notices when the reference clock leaps: compares it with the time that the server counts with its monotonic clock.
/// The reference is the clock that all replicas share, or the local wall clock if there is no shared clock. Each server
/// runs this use case periodically in the background.
pub struct KeepTime {
    local: Arc<dyn LocalClock>,
    store: Arc<dyn TimeStore>,
    clock: Arc<SteadyClock>,
    /// The time that [`Self::store_time`] stored last. `None` until it has stored a time.
    stored: Mutex<Option<Timestamp>>,
}

impl KeepTime {
    /// Maximum duration of a reading of the clock that all replicas share. Slower readings are ignored, because the
    /// error of a reading can be half of its duration.
    pub const MAX_READING: Duration = Duration::from_secs(2);
    /// Minimum time after which [`Self::store_time`] stores the time again.
    pub const STORE_INTERVAL: Duration = Duration::from_secs(60);

    /// Reads the clocks for the first time, and compares the time with the last trusted time in the store. Returns the
    /// use case, and a change if the time is in doubt from the start.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn start(
        local: Arc<dyn LocalClock>,
        store: Arc<dyn TimeStore>,
    ) -> Result<(Self, Option<ClockChange>), PortError> {
        let trusted = store.trusted_time().await?;
        let (keeper, change) = Timekeeper::start(sample(&*local, &*store).await?, trusted);
        let clock = Arc::new(SteadyClock::new(local.clone(), keeper));
        Ok((Self { local, store, clock, stored: Mutex::new(None) }, change))
    }

    /// Returns the clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// Returns the clocks of this machine.
    pub fn local_clock(&self) -> Arc<dyn LocalClock> {
        self.local.clone()
    }

    /// Compares the reference clock with the time that this server has counted with its monotonic clock. Returns a
    /// change if the time is in doubt from now on, or no longer in doubt.
    ///
    /// # Errors
    ///
    /// If the store fails. In that case, [`Self::clock`] continues to count the time.
    pub async fn execute(&self) -> Result<Option<ClockChange>, PortError> {
        let sample = sample(&*self.local, &*self.store).await?;
        Ok(if sample.error <= Self::MAX_READING / 2 { self.clock.observe(sample) } else { None })
    }

    /// Stores the current time, so that a server that starts later can tell whether its clock is plausible. Does
    /// nothing if the time is in doubt, or was stored less than [`Self::STORE_INTERVAL`] ago.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn store_time(&self) -> Result<(), PortError> {
        let Some(now) = self.clock.trusted_time() else { return Ok(()) };
        let stored = *self.stored.lock().unwrap_or_else(PoisonError::into_inner);
        if stored.is_some_and(|stored| now.since(stored).max(stored.since(now)) < Self::STORE_INTERVAL) {
            return Ok(());
        }
        self.store.set_trusted_time(now).await?;
        *self.stored.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

/// Reads the clock that all replicas share, or the local wall clock if there is no shared clock.
async fn sample(local: &dyn LocalClock, store: &dyn TimeStore) -> Result<Sample, PortError> {
    let before = local.read();
    let Some(shared) = store.shared_time().await? else {
        let local = local.read();
        return Ok(Sample { local, reference: local.wall, error: Duration::ZERO });
    };
    let after = local.read();
    // The store read its clock at some moment between `before` and `after`. Assuming the middle keeps the maximum error
    // smallest.
    let error = after.monotonic.saturating_sub(before.monotonic) / 2;
    Ok(Sample { local: after, reference: shared.plus(error), error })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::LocalTime;
    use async_trait::async_trait;

    /// The clocks of a machine and of a database. The field `reading` sets how long it takes to read the clock of the
    /// database. The field `ahead` sets by how much this clock is ahead of the right time.
    #[derive(Default)]
    struct World {
        time: Mutex<Duration>,
        reading: Mutex<Duration>,
        ahead: Mutex<Duration>,
        stored: Mutex<Vec<Timestamp>>,
    }

    impl World {
        fn pass(&self, duration: Duration) {
            *self.time.lock().unwrap() += duration;
        }

        fn right_time(&self) -> Timestamp {
            Timestamp::EPOCH.plus(*self.time.lock().unwrap())
        }
    }

    impl LocalClock for World {
        fn read(&self) -> LocalTime {
            LocalTime { monotonic: *self.time.lock().unwrap(), wall: Timestamp::EPOCH }
        }
    }

    #[async_trait]
    impl TimeStore for World {
        async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
            let half = *self.reading.lock().unwrap() / 2;
            self.pass(half);
            let time = self.right_time().plus(*self.ahead.lock().unwrap());
            self.pass(half);
            Ok(Some(time))
        }

        async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError> {
            Ok(self.stored.lock().unwrap().last().copied())
        }

        async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError> {
            self.stored.lock().unwrap().push(now);
            Ok(())
        }
    }

    #[tokio::test]
    async fn the_duration_of_a_reading_makes_no_difference() {
        let world = Arc::new(World::default());
        *world.reading.lock().unwrap() = Duration::from_secs(1);
        let (keep_time, _) = KeepTime::start(world.clone(), world.clone()).await.unwrap();
        world.pass(Duration::from_secs(10));
        keep_time.execute().await.unwrap();
        assert_eq!(keep_time.clock().now(), world.right_time());
    }

    #[tokio::test]
    async fn a_reading_that_takes_too_long_is_ignored() {
        let world = Arc::new(World::default());
        let (keep_time, _) = KeepTime::start(world.clone(), world.clone()).await.unwrap();
        *world.ahead.lock().unwrap() = Duration::from_secs(3600);
        *world.reading.lock().unwrap() = Duration::from_secs(3);
        assert_eq!(keep_time.execute().await.unwrap(), None);
        *world.reading.lock().unwrap() = Duration::from_secs(1);
        assert_eq!(keep_time.execute().await.unwrap(), Some(ClockChange::Doubted { ahead_seconds: 3600 }));
    }

    #[tokio::test]
    async fn the_time_is_stored_once_a_minute_and_not_while_it_is_in_doubt() {
        let world = Arc::new(World::default());
        let (keep_time, _) = KeepTime::start(world.clone(), world.clone()).await.unwrap();
        for _ in 0..13 {
            keep_time.store_time().await.unwrap();
            world.pass(Duration::from_secs(10));
        }
        let minutes = [0, 1, 2].map(|minute| Timestamp::from_seconds(60 * minute));
        assert_eq!(*world.stored.lock().unwrap(), minutes);
        *world.ahead.lock().unwrap() = Duration::from_secs(3600);
        keep_time.execute().await.unwrap();
        world.pass(Duration::from_secs(120));
        keep_time.store_time().await.unwrap();
        assert_eq!(*world.stored.lock().unwrap(), minutes);
    }
}
