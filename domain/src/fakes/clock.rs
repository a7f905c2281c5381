use std::sync::atomic::{AtomicI64, Ordering};

use crate::model::Timestamp;
use crate::ports::Clock;

/// A clock that moves only when a test advances it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock that shows `moment`.
    pub fn at(moment: Timestamp) -> Self {
        Self(AtomicI64::new(moment.micros()))
    }

    /// Moves the clock by `micros` microseconds, backwards if `micros` is negative.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn expiry_time(&self) -> Timestamp {
        self.now()
    }

    fn lag_seconds(&self) -> u64 {
        0
    }
}
