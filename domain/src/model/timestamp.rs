use std::time::Duration;

/// A point in time in UTC, in whole microseconds since the Unix epoch: the precision that every backend stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);

    /// Returns the time `micros` microseconds after the Unix epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the start of a Unix second. Saturates at the ends of the range.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Returns the microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Returns the Unix second that contains this time.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// Returns the start of the next Unix second.
    pub fn next_second(self) -> Self {
        Self::from_seconds(self.seconds().saturating_add(1))
    }

    /// Returns the time `seconds` later. Saturates at the end of the range.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND);
        Self(self.0.saturating_add(micros))
    }

    /// Returns the time `seconds` earlier. Saturates at the start of the range.
    pub fn minus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND);
        Self(self.0.saturating_sub(micros))
    }

    /// Returns the time `duration` later, in whole microseconds. Saturates at the end of the range.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Returns the duration from `earlier` until this time. Zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        let micros = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_micros(u64::try_from(micros.max(0)).unwrap_or(u64::MAX))
    }

    /// Returns the start of the Unix second that contains this time.
    pub fn floor_to_second(self) -> Self {
        Self::from_seconds(self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_the_epoch_round_down_to_their_second() {
        assert_eq!(Timestamp::from_micros(-1).seconds(), -1);
        assert_eq!(Timestamp::from_micros(1_999_999).floor_to_second(), Timestamp::from_seconds(1));
    }

    #[test]
    fn seconds_beyond_the_range_saturate() {
        assert_eq!(Timestamp::from_seconds(i64::MAX).micros(), i64::MAX);
        assert_eq!(Timestamp::from_seconds(i64::MIN).micros(), i64::MIN);
    }
}
