use std::sync::{Arc, PoisonError, RwLock};

use super::{ClockChange, Sample, Timekeeper};
use crate::model::Timestamp;
use crate::ports::{Clock, LocalClock, LocalTime};

/// The clock of a server: reads the time from a [`Timekeeper`]. A read costs no I/O.
pub struct SteadyClock {
    local: Arc<dyn LocalClock>,
    keeper: RwLock<Timekeeper>,
}

impl SteadyClock {
    /// Creates the clock.
    pub fn new(local: Arc<dyn LocalClock>, keeper: Timekeeper) -> Self {
        Self { local, keeper: RwLock::new(keeper) }
    }

    /// Compares the time with a new reading of the reference clock. Returns a change if the time is in doubt from now
    /// on, or no longer in doubt.
    pub fn observe(&self, sample: Sample) -> Option<ClockChange> {
        // Ignores poisoning, because a timekeeper is valid even after a panic.
        self.keeper.write().unwrap_or_else(PoisonError::into_inner).observe(sample)
    }

    /// Returns the current time, or `None` if the time is in doubt.
    pub fn trusted_time(&self) -> Option<Timestamp> {
        self.read(|keeper, local| (!keeper.is_in_doubt()).then(|| keeper.now(local)))
    }

    fn read<T>(&self, read: impl FnOnce(&Timekeeper, LocalTime) -> T) -> T {
        read(&self.keeper.read().unwrap_or_else(PoisonError::into_inner), self.local.read())
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Timestamp {
        self.read(Timekeeper::now)
    }

    fn expiry_time(&self) -> Timestamp {
        self.read(Timekeeper::expiry_time)
    }

    fn lag_seconds(&self) -> u64 {
        self.read(Timekeeper::lag).as_micros().div_ceil(1_000_000).try_into().unwrap_or(u64::MAX)
    }
}
