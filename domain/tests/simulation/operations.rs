//! What happens to the servers: time passes, clocks leap, replicas are restarted, the store is restored.

use std::sync::Arc;
use std::time::Duration;

use woosh_domain::model::*;
use woosh_domain::ports::TimeStore as _;
use woosh_domain::timekeeping::{MAX_STAMP_LEAD, TOLERANCE};

use crate::defect::Defect;
use crate::notify::Network;
use crate::oracle::{Check, ensure};
use crate::replica::Replica;
use crate::world::{REPLICAS, REQUEST_TIMEOUT, World, run};

/// How long the shared clock is wrong after a leap. This is too short for the replicas to trust the wrong time.
const LEAP: Duration = Duration::from_secs(14 * 60);
/// While a step lets time pass, the replicas compare their clocks with the shared clock at least this often. If a step
/// is very long, they do so after each sixteenth of its duration instead, so that the step needs few comparisons.
const UPKEEP: Duration = Duration::from_secs(300);

impl World {
    /// Lets time pass. If `suspended` is given, the machine of that replica is suspended during this time.
    pub(crate) fn advance(&mut self, duration: Duration, suspended: Option<usize>) -> Check {
        if duration >= REQUEST_TIMEOUT {
            self.replicas.iter().for_each(|replica| replica.store.flush());
        }
        let end = self.shared.time.now().plus(duration);
        loop {
            let now = self.shared.time.now();
            if now >= end {
                break;
            }
            let next = self.leap_ends.unwrap_or(end).min(end).min(now.plus(UPKEEP.max(duration / 16)));
            let step = next.since(now);
            match suspended {
                Some(replica) => self.shared.time.suspend(replica, step),
                None => self.shared.time.advance(step),
            }
            if self.leap_ends.is_some_and(|ends| ends <= next) {
                self.leap_ends = None;
                self.shared.time.set_lead_seconds(0);
            }
            for replica in (0..REPLICAS).filter(|replica| Some(*replica) != suspended) {
                self.upkeep(replica)?;
            }
        }
        self.time_out();
        self.note_deadlines();
        Ok(())
    }

    /// Lets a replica do what each server does periodically. Then checks that the clock of the replica is right, or
    /// that the replica knows that its clock may be wrong.
    pub(crate) fn upkeep(&mut self, replica: usize) -> Check {
        let server = self.replicas[replica].clone();
        if !run(server.upkeep()) {
            return Ok(());
        }
        self.awakened.take_if(|awakened| *awakened == replica);
        let clock = &server.clock;
        let (now, shown) = (self.shared.time.now(), clock.now());
        let is_right = shown.since(now).max(now.since(shown)) <= TOLERANCE || self.are_clocks_wrong();
        ensure(is_right || clock.lag_seconds() > 0 || server.is_in_doubt(), "D2 no leap is trusted", || {
            format!("replica {replica} shows {shown:?} at {now:?}")
        })
    }

    /// Lets the shared clock leap. Does nothing if the clock of a replica may be wrong, because the replica could not
    /// tell which clock is right.
    pub(crate) fn leap(&mut self, seconds: i64) {
        if self.leap_ends.is_none() {
            let is_wrong = self.awakened.is_some() || self.replicas.iter().any(|replica| replica.is_in_doubt());
            if is_wrong && !self.are_clocks_wrong() {
                return;
            }
            self.leap_ends = Some(self.shared.time.now().plus(LEAP));
        }
        self.shared.time.set_lead_seconds(seconds);
    }

    /// Returns whether a replica can start now without breaking promise D2 (no loss). If the shared clock is behind,
    /// two conditions must hold, or messages could expire early:
    ///
    /// - The clock shows an earlier time than the last trusted time in the store. Otherwise the replica does not notice
    ///   that the clock is behind.
    /// - The trusted time is at most [`MAX_STAMP_LEAD`] old. After such a start, the replica lets messages expire
    ///   later, but only by this duration.
    ///
    /// If several clocks may be wrong, a start is always allowed, because messages may expire early anyway.
    pub(crate) fn may_start(&self) -> bool {
        let time = &self.shared.time;
        let trusted = run(self.shared.store.trusted_time()).unwrap();
        self.are_clocks_wrong()
            || !time.is_behind()
            || trusted.is_some_and(|trusted| {
                time.shared().plus(TOLERANCE) < trusted && time.now() <= trusted.plus(MAX_STAMP_LEAD)
            })
    }

    /// Kills a replica, and starts it again.
    pub(crate) fn restart(&mut self, replica: usize) -> Check {
        self.requests.retain(|request| request.replica != replica);
        self.shared.network().clear(replica);
        self.shared.faults()[replica].next = None;
        let started = run(Replica::start(self.shared.clone(), self.randomness.clone(), replica));
        ensure(started.is_ok(), "D8 a replica starts", String::new)?;
        if let Ok(started) = started {
            self.replicas[replica] = Arc::new(started);
        }
        self.upkeep(replica)
    }

    /// Returns whether several clocks may be wrong at once.
    pub(crate) fn are_clocks_wrong(&self) -> bool {
        self.shared.oracle().are_clocks_wrong
    }

    /// Restores the newest backup. Does nothing while the shared clock alone is wrong. The backup contains an old time:
    /// if the shared clock showed a similar time, the restarted replicas would trust this wrong clock.
    pub(crate) fn restore(&mut self) -> Check {
        let may_restore = self.leap_ends.is_none() || self.are_clocks_wrong();
        let Some((backup, truth)) = self.backup.clone().filter(|_| may_restore) else { return Ok(()) };
        self.requests.clear();
        self.shared.store.restore(backup);
        let mut oracle = self.shared.oracle();
        oracle.truth = truth;
        // The classic API can't tell its clients, which would delete what they have not polled. Here they poll again.
        oracle.truth.polled.clear();
        self.clients.forget_polls();
        oracle.sends.iter_mut().for_each(|send| send.receipt = None);
        drop(oracle);
        *self.shared.network() = Network::default();
        self.disarm();
        let before: Vec<_> = self.incarnations();
        if self.shared.defect != Some(Defect::IncarnationsKept) {
            let _ = run(self.replicas[0].mark_restored.execute());
        }
        let kept = self.incarnations().into_iter().find(|incarnation| before.contains(incarnation));
        ensure(kept.is_none(), "D3 every mailbox has another incarnation after a restore", || format!("{kept:?}"))?;
        (0..REPLICAS).try_for_each(|replica| self.restart(replica))
    }

    fn incarnations(&self) -> Vec<(DeviceId, Incarnation)> {
        let oracle = self.shared.oracle();
        oracle.truth.mailboxes.iter().map(|(device, mailbox)| (*device, mailbox.incarnation)).collect()
    }

    fn disarm(&self) {
        self.shared.faults().iter_mut().for_each(|faults| faults.next = None);
    }

    /// Removes faults that have not struck yet, and sets the shared clock right.
    pub(crate) fn heal(&mut self) {
        self.disarm();
        self.leap_ends = None;
        self.shared.time.set_lead_seconds(0);
    }
}
