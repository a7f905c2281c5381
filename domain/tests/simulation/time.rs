//! Virtual time: the right time, which passes only in steps, and the clocks, which can differ from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use woosh_domain::model::Timestamp;
use woosh_domain::ports::{LocalClock, LocalTime};

use crate::world::REPLICAS;

const START: i64 = 1_700_000_000_000_000;

/// The right time, and by how much each clock is wrong. All values are in microseconds.
#[derive(Debug)]
pub(crate) struct VirtualTime {
    now: AtomicI64,
    /// How far the clock that all replicas share (the clock of the database) is ahead of the right time.
    lead: AtomicI64,
    /// For each replica, how long its monotonic clock has stood still, because its machine was suspended.
    suspended: [AtomicI64; REPLICAS],
}

impl VirtualTime {
    pub(crate) fn new() -> Self {
        Self { now: AtomicI64::new(START), lead: AtomicI64::new(0), suspended: Default::default() }
    }

    /// Returns the right time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed))
    }

    /// Returns the time that the shared clock shows.
    pub(crate) fn shared(&self) -> Timestamp {
        Timestamp::from_micros(self.now.load(Ordering::Relaxed) + self.lead.load(Ordering::Relaxed))
    }

    /// Returns whether the shared clock is behind the right time.
    pub(crate) fn is_behind(&self) -> bool {
        self.lead.load(Ordering::Relaxed) < 0
    }

    pub(crate) fn set_lead_seconds(&self, seconds: i64) {
        self.lead.store(seconds * 1_000_000, Ordering::Relaxed);
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.now.fetch_add(duration.as_micros() as i64, Ordering::Relaxed);
    }

    /// Lets time pass while the machine of a replica is suspended, so that its monotonic clock stands still.
    pub(crate) fn suspend(&self, replica: usize, duration: Duration) {
        self.suspended[replica].fetch_add(duration.as_micros() as i64, Ordering::Relaxed);
        self.advance(duration);
    }
}

/// The monotonic clock and the wall clock of a replica's machine.
pub(crate) struct ReplicaClock {
    pub(crate) time: Arc<VirtualTime>,
    pub(crate) replica: usize,
}

impl LocalClock for ReplicaClock {
    fn read(&self) -> LocalTime {
        let running = self.time.now().micros() - START - self.time.suspended[self.replica].load(Ordering::Relaxed);
        LocalTime { monotonic: Duration::from_micros(running as u64), wall: self.time.now() }
    }
}
