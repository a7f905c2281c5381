use std::time::Duration;

use crate::model::Timestamp;

/// The source of the current time. All code reads the time from this port, so that tests can set the time.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// Returns the current time. The time may jump backwards or forwards; callers MUST NOT lose messages if it does.
    fn now(&self) -> Timestamp;

    /// Returns the time that decides what has expired: everything that expires at or before it. MUST stand still while the
    /// time is in doubt.
    fn expiry_time(&self) -> Timestamp;

    /// Returns how far [`now`](Self::now) may be behind the right time, in seconds, rounded up. 0 unless the time is in
    /// doubt.
    fn lag_seconds(&self) -> u64;

    /// Returns the seconds since the time was last in doubt: 0 if it is now, `None` if it never was.
    fn seconds_since_doubt(&self) -> Option<u64>;
}

/// The clocks of this machine.
pub trait LocalClock: Send + Sync {
    /// Reads both clocks. MUST read them at the same moment, as far as possible.
    fn read(&self) -> LocalTime;
}

/// What the clocks of a machine show at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The time since a fixed moment. It never jumps, but it may stand still while the machine is suspended.
    pub monotonic: Duration,
    /// The time of day. It jumps if it is set.
    pub wall: Timestamp,
}
