use std::time::Duration;

use crate::model::Timestamp;

/// The source of the current time. All code reads the time through this trait, so that tests can set the time.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// Returns the current time. The time may jump backwards or forwards; callers MUST NOT lose messages if the time
    /// jumps.
    fn now(&self) -> Timestamp;

    /// Returns the time to compare with expiry times: what expires at or before this time has expired. MUST stand still
    /// while the time is [in doubt](crate::timekeeping), for example after a clock has jumped.
    fn expiry_time(&self) -> Timestamp;

    /// Returns how far [`now`](Self::now) may be behind the right time, in seconds, rounded up. A send adds this to the
    /// lifetime of its messages, so that they do not expire early.
    ///
    /// Usually 0. May be greater for a while after a clock has jumped ahead, after the machine was suspended, or after
    /// the server has started with a clock that is behind the last trusted time.
    fn lag_seconds(&self) -> u64;
}

/// The monotonic clock and the wall clock of the machine that this process runs on.
pub trait LocalClock: Send + Sync {
    /// Reads the monotonic clock and the wall clock. MUST read both at the same moment, as far as possible.
    fn read(&self) -> LocalTime;
}

/// The readings of a machine's clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// The monotonic clock: the time since a fixed moment. Never jumps, but may stand still while the machine is
    /// suspended.
    pub monotonic: Duration,
    /// The wall clock: the time of day. Jumps if somebody or a time server sets it.
    pub wall: Timestamp,
}
