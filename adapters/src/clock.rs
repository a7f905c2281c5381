//! The clocks of the operating system.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use woosh_domain::model::Timestamp;
use woosh_domain::ports::{LocalClock, LocalTime};

/// The clocks of the operating system: a monotonic clock, and a wall clock whose times are truncated to microseconds.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// Creates a clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl LocalClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port")]
    fn read(&self) -> LocalTime {
        let monotonic = self.start.elapsed();
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
        };
        LocalTime { monotonic, wall: Timestamp::from_micros(micros) }
    }
}
