use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::Timestamp;
use crate::ports::LocalTime;

const START: Timestamp = Timestamp::EPOCH;
const INTERVAL: Duration = Duration::from_secs(10);
const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

fn after(seconds: i64) -> Timestamp {
    let seconds = seconds.rem_euclid(i64::MAX);
    START.plus_seconds(seconds.unsigned_abs())
}

/// A simulated server, with clocks that a test can set and let drift.
struct World {
    /// The right time.
    time: Duration,
    suspended: Duration,
    /// How far the reference is ahead of the right time, in microseconds. `wall_error` states how far the local wall
    /// clock is ahead of the right time.
    error: i64,
    wall_error: i64,
    keeper: Timekeeper,
    changes: Vec<ClockChange>,
}

impl World {
    /// Starts a server 100 days after the epoch, with clocks that are `error` seconds ahead of the right time.
    /// `trusted` is the last trusted time in the store.
    fn start(error: i64, trusted: Option<Timestamp>) -> Self {
        let time = Duration::from_secs((100 * DAY).unsigned_abs());
        let error = error * 1_000_000;
        let keeper = Timekeeper::start(
            Sample {
                local: local(time, Duration::ZERO, error),
                reference: shifted(time, error),
                error: Duration::ZERO,
            },
            trusted,
        );
        Self {
            time,
            suspended: Duration::ZERO,
            error,
            wall_error: error,
            keeper: keeper.0,
            changes: keeper.1.into_iter().collect(),
        }
    }

    fn local(&self) -> LocalTime {
        local(self.time, self.suspended, self.wall_error)
    }

    /// Lets `seconds` pass, and compares the clocks every ten seconds.
    fn run(&mut self, seconds: i64) -> &mut Self {
        for _ in 0..seconds / 10 {
            self.time += INTERVAL;
            self.observe();
        }
        self
    }

    fn observe(&mut self) {
        let reference = shifted(self.time, self.error);
        let sample = Sample { local: self.local(), reference, error: Duration::ZERO };
        self.changes.extend(self.keeper.observe(sample));
    }

    /// Sets both the reference and the local wall clock to `seconds` ahead of the right time.
    fn set(&mut self, seconds: i64) -> &mut Self {
        (self.error, self.wall_error) = (seconds * 1_000_000, seconds * 1_000_000);
        self
    }

    /// Returns how many seconds `time` is ahead of the right time.
    fn ahead(&self, time: Timestamp) -> i64 {
        (time.micros() - shifted(self.time, 0).micros()).div_euclid(1_000_000)
    }

    fn now_ahead(&self) -> i64 {
        self.ahead(self.keeper.now(self.local()))
    }

    fn expiry_ahead(&self) -> i64 {
        self.ahead(self.keeper.expiry_time(self.local()))
    }

    fn lag(&self) -> u64 {
        self.keeper.lag(self.local()).as_secs()
    }
}

fn shifted(time: Duration, micros: i64) -> Timestamp {
    Timestamp::from_micros(START.plus(time).micros() + micros)
}

fn local(time: Duration, suspended: Duration, wall_error: i64) -> LocalTime {
    LocalTime { monotonic: time - suspended, wall: shifted(time, wall_error) }
}

fn doubted(ahead_seconds: i64) -> ClockChange {
    ClockChange::Doubted { ahead_seconds }
}

#[test]
fn a_leap_of_a_month_for_some_seconds_expires_nothing() {
    let mut world = World::start(0, None);
    world.run(60).set(31 * DAY).run(10);
    assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (DAY, 0, (30 * DAY).unsigned_abs()));
    world.run(10);
    assert_eq!((world.now_ahead(), world.expiry_ahead()), (DAY, -10));
    world.set(0).run(10);
    assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (0, 0, 0));
    assert_eq!(world.changes, [doubted(31 * DAY), ClockChange::Recovered]);
}

#[test]
fn a_leap_is_trusted_after_it_has_lasted() {
    for leap in [31 * DAY, HOUR, -HOUR, -31 * DAY] {
        let mut world = World::start(0, None);
        world.set(leap).run(15 * 60);
        assert!(world.expiry_ahead() < 0);
        world.run(10);
        assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (leap, leap, 0));
        assert_eq!(world.changes, [doubted(leap), ClockChange::Confirmed]);
    }
}

#[test]
fn a_reference_that_leaps_again_and_again_is_not_trusted() {
    let mut world = World::start(0, None);
    for leap in 1..20 {
        world.set(leap * HOUR).run(10 * 60);
    }
    assert_eq!(world.changes, [doubted(HOUR)]);
    assert!(world.expiry_ahead() < 0);
}

#[test]
fn a_correction_of_ten_seconds_is_no_further_leap() {
    for (correction, confirmed) in [(10, true), (-10, true), (11, false), (-11, false)] {
        let mut world = World::start(0, None);
        world.set(HOUR).run(10 * 60).set(HOUR + correction).run(5 * 60 + 10);
        assert_eq!(world.changes[1..].contains(&ClockChange::Confirmed), confirmed, "{correction}");
    }
}

#[test]
fn while_a_clock_is_behind_stamps_stay_on_the_time_without_the_leap() {
    let mut world = World::start(0, None);
    world.set(-DAY).run(60);
    assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (0, -50, 0));
}

#[test]
fn a_start_after_a_month_expires_what_is_due_after_the_confirmation() {
    let stopped = after(69 * DAY);
    let mut world = World::start(0, Some(stopped));
    assert_eq!(world.changes, [doubted(31 * DAY)]);
    assert_eq!((world.expiry_ahead(), world.now_ahead(), world.lag()), (-31 * DAY, -30 * DAY, 30 * 24 * 60 * 60));
    world.run(15 * 60);
    assert_eq!((world.expiry_ahead(), world.now_ahead(), world.lag()), (0, 0, 0));
    assert_eq!(world.changes[1..], [ClockChange::Confirmed]);
}

#[test]
fn a_start_with_a_wrong_clock_recovers_as_soon_as_the_clock_is_corrected() {
    for wrong in [31 * DAY, -50 * DAY] {
        let mut world = World::start(wrong, Some(after(100 * DAY - 300)));
        assert!(world.run(60).expiry_ahead() < 0);
        world.set(0).run(10);
        assert_eq!((world.now_ahead(), world.expiry_ahead()), (0, 0));
        assert_eq!(world.changes[1..], [ClockChange::Recovered]);
    }
}

#[test]
fn stamps_after_a_start_with_a_clock_that_is_behind_may_be_early_by_a_downtime_of_a_day() {
    let mut world = World::start(-10 * DAY, Some(after(99 * DAY)));
    assert_eq!((world.now_ahead(), world.lag()), (-DAY, DAY.unsigned_abs()));
    // A clock that is still wrong, although less than before, tells no more.
    world.set(-HOUR).run(10);
    assert_eq!((world.now_ahead(), world.lag()), (-HOUR, DAY.unsigned_abs()));
    world.set(0).run(15 * 60);
    assert_eq!((world.now_ahead(), world.expiry_ahead()), (0, -DAY - 910));
    world.run(10);
    assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (0, 0, 0));
    assert_eq!(world.changes, [doubted(-9 * DAY), ClockChange::Confirmed]);
}

#[test]
fn a_restart_and_a_first_start_are_not_in_doubt() {
    for trusted in [None, Some(after(100 * DAY)), Some(after(100 * DAY - 600)), Some(after(100 * DAY + 5))] {
        let world = World::start(0, trusted);
        assert_eq!((world.changes.as_slice(), world.expiry_ahead()), (&[][..], 0));
    }
}

#[test]
fn a_suspended_machine_expires_what_is_due_after_the_confirmation() {
    for hours in [8, 31 * 24] {
        let mut world = World::start(0, None);
        let suspension = Duration::from_secs(hours * 60 * 60);
        (world.time, world.suspended) = (world.time + suspension, suspension);
        // A message that is sent before the clocks are compared gets an early stamp, so it lives longer.
        assert_eq!((world.now_ahead(), world.lag()), (-hours.cast_signed() * HOUR, hours * 60 * 60));
        world.run(10);
        assert_eq!(world.now_ahead(), (-hours.cast_signed() * HOUR + DAY).min(0));
        assert!(world.expiry_ahead() < 0);
        world.run(15 * 60);
        assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (0, 0, 0));
    }
}

#[test]
fn stamps_after_a_suspension_may_be_early_by_all_of_it_even_if_the_reference_is_behind() {
    let mut world = World::start(0, None);
    world.set(-DAY).run(60);
    let suspension = Duration::from_secs(3 * 60 * 60);
    (world.time, world.suspended) = (world.time + suspension, suspension);
    assert_eq!((world.now_ahead(), world.lag()), (-3 * HOUR, suspension.as_secs()));
}

#[test]
fn the_local_wall_clock_does_not_matter_if_another_clock_is_the_reference() {
    let mut world = World::start(0, None);
    world.wall_error = HOUR * 1_000_000;
    world.run(60);
    assert_eq!((world.now_ahead(), world.expiry_ahead(), world.lag()), (0, 0, 0));
    assert_eq!(world.changes, []);
}

#[test]
fn a_slow_reading_does_not_replace_a_better_one() {
    let mut world = World::start(0, None);
    let reference = shifted(world.time, 400_000);
    let sample = |error| Sample { local: world.local(), reference, error: Duration::from_millis(error) };
    let (slow, fast) = (sample(500), sample(100));
    for slow in [slow, sample(400)] {
        world.keeper.observe(slow);
        assert_eq!(world.keeper.now(slow.local), shifted(world.time, 0));
    }
    world.keeper.observe(fast);
    assert_eq!(world.keeper.now(slow.local), reference);
}

#[derive(Debug, Clone)]
enum Step {
    Run(i64),
    Set(i64),
    Drift(i64),
    Suspend(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (10..30 * 60_i64).prop_map(Step::Run),
        1 => (-40 * 24 * 60..40 * 24 * 60_i64).prop_map(|minutes| Step::Set(60 * minutes)),
        1 => Just(Step::Set(0)),
        1 => (-500_i64..500).prop_map(Step::Drift),
        1 => (60..40 * 24 * 60 * 60_u64).prop_map(Step::Suspend),
    ]
}

proptest! {
    #[test]
    fn expiry_follows_no_leap_until_it_has_lasted(steps in prop::collection::vec(step(), 1..40)) {
        let mut world = World::start(0, None);
        // In seconds: `line` is how far the time without leaps is ahead of the right time, and `steady` how long ago
        // the last leap was.
        let (mut drift, mut steady, mut line, mut last) = (0, 0, 0, 0);
        for step in steps {
            let seconds = match step {
                Step::Set(seconds) => { world.set(seconds); 0 }
                Step::Drift(ppm) => { drift = ppm; 0 }
                Step::Suspend(seconds) => {
                    let suspension = Duration::from_secs(seconds);
                    world.time += suspension;
                    world.suspended += suspension;
                    line -= seconds.cast_signed();
                    0
                }
                Step::Run(seconds) => seconds,
            };
            for _ in 0..seconds / 10 {
                world.error += drift * 10;
                world.wall_error += drift * 10;
                world.run(10);
                let (reference, expiry) = (world.error / 1_000_000, world.expiry_ahead());
                let ahead_of_monotonic = world.error + i64::try_from(world.suspended.as_micros()).unwrap();
                steady = if (ahead_of_monotonic - last).abs() > 10_000_000 { 0 } else { steady + 10 };
                last = ahead_of_monotonic;
                if (reference - line).abs() <= 10 || steady >= 15 * 60 {
                    line = reference;
                }
                prop_assert!(expiry <= line + 1, "expiry is {} s ahead of the time without leaps", expiry - line);
                // Whether the counted time or the reference is right, a message does not expire before its lifetime has
                // passed.
                let stamp = world.now_ahead() + i64::try_from(world.lag()).unwrap();
                prop_assert!(stamp + 11 >= expiry.max(reference), "a stamp is too early");
                if steady >= 15 * 60 {
                    prop_assert!((world.now_ahead() - reference).abs() <= 1, "the time is not followed");
                    prop_assert_eq!(world.expiry_ahead(), world.now_ahead());
                }
            }
        }
    }
}
