/// A moment in UTC, in whole microseconds since the Unix epoch: the finest that every backend keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS_PER_SECOND: i64 = 1_000_000;

impl Timestamp {
    /// The start of Unix time.
    pub const EPOCH: Self = Self(0);

    /// The moment so many microseconds after the Unix epoch.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The start of a Unix second; one that lies beyond what can be told becomes the furthest that can.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Microseconds since the Unix epoch.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// The Unix second that this moment lies in.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SECOND)
    }

    /// The start of the Unix second after the one that this moment lies in.
    pub fn next_second(self) -> Self {
        Self::from_seconds(self.seconds().saturating_add(1))
    }

    /// The moment so many seconds later.
    pub fn plus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND);
        Self(self.0.saturating_add(micros))
    }

    /// The moment so many seconds earlier.
    pub fn minus_seconds(self, seconds: u64) -> Self {
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_SECOND);
        Self(self.0.saturating_sub(micros))
    }

    /// The start of the Unix second that this moment lies in.
    pub fn floor_to_second(self) -> Self {
        Self::from_seconds(self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_before_the_epoch_lies_in_the_second_that_started_before_it() {
        assert_eq!(Timestamp::from_micros(-1).seconds(), -1);
        assert_eq!(Timestamp::from_micros(1_999_999).floor_to_second(), Timestamp::from_seconds(1));
    }

    #[test]
    fn seconds_beyond_the_range_become_its_end() {
        assert_eq!(Timestamp::from_seconds(i64::MAX).micros(), i64::MAX);
        assert_eq!(Timestamp::from_seconds(i64::MIN).micros(), i64::MIN);
    }
}
