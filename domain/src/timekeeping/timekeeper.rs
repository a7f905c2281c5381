use std::time::Duration;

use crate::model::Timestamp;
use crate::ports::LocalTime;

/// After a leap, the reference is trusted again once it has not leapt for this long.
pub const CONFIRMATION: Duration = Duration::from_secs(15 * 60);
/// Maximum difference between the reference and the counted time (which the server counts with its monotonic clock)
/// that does not count as a leap. The tolerance leaves room for corrections of a clock that drifts, and for errors of
/// measurement.
pub const TOLERANCE: Duration = Duration::from_secs(10);
/// When a server starts, maximum time by which the reference may be ahead of the last trusted time in the store. If the
/// reference is further ahead, the time is in doubt.
pub const MAX_DOWNTIME: Duration = Duration::from_secs(10 * 60);
/// While the time is in doubt, [`Timekeeper::now`] is at most this far ahead of the counted time, which the server
/// counts with its monotonic clock. [`expires_at`](crate::planner::expires_at) applies the same limit to a `sent_at`
/// that a watermark puts into the future.
pub const MAX_STAMP_LEAD: Duration = Duration::from_secs(24 * 60 * 60);

/// A reading of the reference clock, together with the clocks of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The clocks of this machine at the time of the reading.
    pub local: LocalTime,
    /// The time that the reference clock showed.
    pub reference: Timestamp,
    /// Maximum error of `reference`. A reading over the network takes time, and the exact moment of the reading is
    /// unknown.
    pub error: Duration,
}

/// The beginning or the end of a doubt about the time, caused by a new reading of the reference clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockChange {
    /// The time is in doubt from now on, because the reference has leapt, or is implausible when the server starts.
    Doubted {
        /// How many seconds the reference is ahead of the counted time or, when the server starts, of the last trusted
        /// time in the store. Negative if the reference is behind.
        ahead_seconds: i64,
    },
    /// The time is no longer in doubt, because the reference agrees again with the time that the server has counted
    /// with its monotonic clock.
    Recovered,
    /// The time is no longer in doubt, because the reference has not leapt for [`CONFIRMATION`].
    Confirmed,
}

/// Keeps the time: counts with the monotonic clock, and follows the reference clock unless the reference leaps. The
/// [module](crate::timekeeping) describes the rules.
#[derive(Debug, Clone, Copy)]
pub struct Timekeeper {
    /// The clocks of this machine at the last reading of the reference.
    local: LocalTime,
    /// The counted time at the last reading of the reference. It advances with the monotonic clock. A reading of the
    /// reference corrects it only while the time is not in doubt, or when a doubt ends.
    held: Timestamp,
    doubt: Option<Doubt>,
}

#[derive(Debug, Clone, Copy)]
struct Doubt {
    /// The time that was trusted last, before the doubt began. Only what expires at or before this time counts as
    /// expired.
    trusted: Timestamp,
    /// The time that the reference showed at its last reading.
    reference: Timestamp,
    /// The reading of the monotonic clock at the last leap of the reference.
    since: Duration,
    /// The doubt ends before [`CONFIRMATION`] has passed if the reference is close to the counted time again: at most
    /// [`TOLERANCE`] behind it, and at most this duration ahead of it. [`MAX_DOWNTIME`] if the doubt began when the
    /// server started, because the counted time does not include the downtime. Otherwise [`TOLERANCE`].
    max_lead: Duration,
    /// [`Timekeeper::lag`] returns at least this duration while the doubt lasts. Not zero only if the reference was
    /// behind the last trusted time when the server started, because nothing then shows how long the server was down.
    min_lag: Duration,
}

impl Timekeeper {
    /// Starts to keep the time. `trusted` is the last trusted time in the store; `None` if the store has none. If the
    /// reference is more than [`TOLERANCE`] behind `trusted`, or more than [`MAX_DOWNTIME`] ahead of it, the time is in
    /// doubt, and the result includes [`ClockChange::Doubted`].
    pub fn start(sample: Sample, trusted: Option<Timestamp>) -> (Self, Option<ClockChange>) {
        let Sample { local, reference, .. } = sample;
        let keeper = Self { local, held: reference, doubt: None };
        match trusted {
            Some(trusted) if !is_plausible(reference, trusted, MAX_DOWNTIME) => {
                // A reference that is behind does not tell how long the server was down.
                let min_lag = if reference < trusted { MAX_STAMP_LEAD } else { Duration::ZERO };
                let doubt = Doubt { trusted, reference, since: local.monotonic, max_lead: MAX_DOWNTIME, min_lag };
                (Self { held: trusted, doubt: Some(doubt), ..keeper }, Some(doubted(reference, trusted)))
            }
            _ => (keeper, None),
        }
    }

    /// Compares the time with a new reading of the reference. Returns a change if the time is in doubt from now on, or
    /// no longer in doubt.
    pub fn observe(&mut self, sample: Sample) -> Option<ClockChange> {
        let Sample { local, reference, error } = sample;
        let elapsed = self.elapsed(local);
        let held = self.held.plus(elapsed);
        self.local = local;
        self.held = held;
        let Some(doubt) = &mut self.doubt else {
            if is_plausible(reference, held, TOLERANCE) {
                // A difference within the error of the reading may be due to that error.
                if distance(reference, held) > error {
                    self.held = reference;
                }
                return None;
            }
            let (since, min_lag) = (local.monotonic, Duration::ZERO);
            self.doubt = Some(Doubt { trusted: held, reference, since, max_lead: TOLERANCE, min_lag });
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
    }

    /// Returns the current time, which becomes the `sent_at` of messages.
    pub fn now(&self, local: LocalTime) -> Timestamp {
        let elapsed = self.elapsed(local);
        let held = self.held.plus(elapsed);
        match self.doubt {
            None => held,
            Some(doubt) => doubt.reference.plus(elapsed).clamp(held, held.plus(MAX_STAMP_LEAD)),
        }
    }

    /// Returns the time to compare with expiry times. Stands still while the time is in doubt.
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

    /// Returns how far [`Self::now`] may be behind the right time. Zero if the result would be at most [`TOLERANCE`].
    ///
    /// There are three reasons for a lag. If the reference leaps ahead by more than [`MAX_STAMP_LEAD`], [`Self::now`]
    /// follows only up to this limit, but the reference may be right. If the machine is suspended, the monotonic clock
    /// may stand still. Until the next reading of the reference, only the local wall clock shows that time has passed.
    /// If the reference is behind the last trusted time when the server starts, nothing shows how long the server was
    /// down. The result is then at least [`MAX_STAMP_LEAD`], so a longer downtime is not covered.
    pub fn lag(&self, local: LocalTime) -> Duration {
        let elapsed = self.elapsed(local);
        // A reference that is behind may be wrong.
        let reference = self.doubt.map_or(self.held, |doubt| doubt.reference.max(self.held));
        let elapsed_by_wall = local.wall.since(self.local.wall).max(elapsed);
        let lag = reference.plus(elapsed_by_wall).since(self.now(local));
        let lag = if lag <= TOLERANCE { Duration::ZERO } else { lag };
        self.doubt.map_or(lag, |doubt| lag.max(doubt.min_lag))
    }

    fn elapsed(&self, local: LocalTime) -> Duration {
        local.monotonic.saturating_sub(self.local.monotonic)
    }
}

fn doubted(reference: Timestamp, expected: Timestamp) -> ClockChange {
    ClockChange::Doubted { ahead_seconds: reference.seconds().saturating_sub(expected.seconds()) }
}

/// Returns whether the reference is at most [`TOLERANCE`] behind `expected`, and at most `max_lead` ahead of it.
fn is_plausible(reference: Timestamp, expected: Timestamp, max_lead: Duration) -> bool {
    expected.since(reference) <= TOLERANCE && reference.since(expected) <= max_lead
}

fn distance(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}
