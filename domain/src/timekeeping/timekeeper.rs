use std::time::Duration;

use crate::model::Timestamp;
use crate::ports::LocalTime;

/// How long a reference must not leap until it is trusted again.
pub const CONFIRMATION: Duration = Duration::from_secs(15 * 60);
/// The greatest difference to the reference that is not a leap: corrections of a clock that drifts, and errors of
/// measurement.
pub const TOLERANCE: Duration = Duration::from_secs(10);
/// The greatest lead of the reference over the last trusted time that is trusted at the start of a server.
pub const MAX_DOWNTIME: Duration = Duration::from_secs(10 * 60);
/// The greatest lead of stamps over the time without a leap, while the time is in doubt.
pub const MAX_STAMP_LEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// A reading of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The clocks of this machine.
    pub local: LocalTime,
    /// The reference.
    pub reference: Timestamp,
    /// The greatest error of `reference`, because the reading took time.
    pub error: Duration,
}

/// What a sample changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// The reference leapt, or is implausible at the start: the time is in doubt.
    Doubted {
        /// How many seconds the reference is ahead of the expected time. Negative if it is behind.
        ahead_seconds: i64,
    },
    /// The reference is plausible again.
    Recovered,
    /// The reference has not leapt for [`CONFIRMATION`], and is trusted again.
    Confirmed,
}

/// Keeps the time. Counts with the monotonic clock, and follows the reference unless it leaps.
#[derive(Debug, Clone, Copy)]
pub struct Timekeeper {
    /// The clocks of this machine at the last sample.
    local: LocalTime,
    /// The time at the last sample, without leaps.
    held: Timestamp,
    doubt: Option<Doubt>,
    /// The reading of the monotonic clock at which the last doubt ended.
    doubted_until: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// The last time that was trusted. What expires by it has expired for certain.
    trusted: Timestamp,
    /// The reference at the last sample.
    reference: Timestamp,
    /// The reading of the monotonic clock at the last leap of the reference.
    since: Duration,
    /// How far the reference may be ahead of the held time to be plausible.
    max_lead: Duration,
}

impl Timekeeper {
    /// Starts to keep the time. `trusted` is the time at which a server last trusted the reference, `None` if none ever
    /// did. Doubts a reference that is earlier, or later by more than [`MAX_DOWNTIME`].
    pub fn start(sample: Sample, trusted: Option<Timestamp>) -> (Self, Option<ClockChange>) {
        let Sample { local, reference, .. } = sample;
        let keeper = Self { local, held: reference, doubt: None, doubted_until: None };
        match trusted {
            Some(trusted) if !is_plausible(reference, trusted, MAX_DOWNTIME) => {
                let doubt = Doubt { trusted, reference, since: local.monotonic, max_lead: MAX_DOWNTIME };
                (Self { held: trusted, doubt: Some(doubt), ..keeper }, Some(doubted(reference, trusted)))
            }
            _ => (keeper, None),
        }
    }

    /// Compares the time with the reference.
    pub fn observe(&mut self, sample: Sample) -> Option<ClockChange> {
        let Sample { local, reference, error } = sample;
        let elapsed = self.elapsed(local);
        let held = self.held.plus(elapsed);
        self.local = local;
        self.held = held;
        let Some(doubt) = &mut self.doubt else {
            if is_plausible(reference, held, TOLERANCE) {
                // A reading that took long says nothing about smaller differences.
                if distance(reference, held) > error {
                    self.held = reference;
                }
                return None;
            }
            self.doubt = Some(Doubt { trusted: held, reference, since: local.monotonic, max_lead: TOLERANCE });
            return Some(doubted(reference, held));
        };
        if is_plausible(reference, held, doubt.max_lead) {
            self.trust(reference);
            return Some(ClockChange::Recovered);
        }
        if distance(reference, doubt.reference.plus(elapsed)) > TOLERANCE {
            doubt.since = local.monotonic;
        }
        doubt.reference = reference;
        if local.monotonic.saturating_sub(doubt.since) < CONFIRMATION {
            return None;
        }
        self.trust(reference);
        Some(ClockChange::Confirmed)
    }

    fn trust(&mut self, reference: Timestamp) {
        self.held = reference;
        self.doubt = None;
        self.doubted_until = Some(self.local.monotonic);
    }

    /// Returns the current time, for stamps.
    pub fn now(&self, local: LocalTime) -> Timestamp {
        let elapsed = self.elapsed(local);
        let held = self.held.plus(elapsed);
        match self.doubt {
            None => held,
            Some(doubt) => doubt.reference.plus(elapsed).clamp(held, held.plus(MAX_STAMP_LEAD)),
        }
    }

    /// Returns the time that decides what has expired. It stands still while the time is in doubt.
    pub fn expiry_time(&self, local: LocalTime) -> Timestamp {
        match self.doubt {
            None => self.now(local),
            Some(doubt) => doubt.trusted,
        }
    }

    /// Returns whether the time is in doubt.
    pub fn is_in_doubt(&self) -> bool {
        self.doubt.is_some()
    }

    /// Returns how far [`Self::now`] may be behind the right time. Besides a leap of the reference, this includes a leap of
    /// the local wall clock since the last sample: after a suspension, which may stop the monotonic clock, the first stamps
    /// precede the next sample.
    pub fn lag(&self, local: LocalTime) -> Duration {
        let elapsed = self.elapsed(local);
        // A reference that is behind may be wrong.
        let reference = self.doubt.map_or(self.held, |doubt| doubt.reference.max(self.held));
        let elapsed_by_wall = local.wall.since(self.local.wall).max(elapsed);
        let lag = reference.plus(elapsed_by_wall).since(self.now(local));
        if lag <= TOLERANCE { Duration::ZERO } else { lag }
    }

    /// Returns the time since the time was last in doubt: zero if it is now, `None` if it never was.
    pub fn since_doubt(&self, local: LocalTime) -> Option<Duration> {
        if self.is_in_doubt() {
            return Some(Duration::ZERO);
        }
        self.doubted_until.map(|until| local.monotonic.saturating_sub(until))
    }

    fn elapsed(&self, local: LocalTime) -> Duration {
        local.monotonic.saturating_sub(self.local.monotonic)
    }
}

fn doubted(reference: Timestamp, expected: Timestamp) -> ClockChange {
    ClockChange::Doubted { ahead_seconds: reference.seconds().saturating_sub(expected.seconds()) }
}

/// Returns whether the reference is not behind `expected`, and ahead by at most `max_lead`.
fn is_plausible(reference: Timestamp, expected: Timestamp, max_lead: Duration) -> bool {
    expected.since(reference) <= TOLERANCE && reference.since(expected) <= max_lead
}

fn distance(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
