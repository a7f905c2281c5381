//! The end of a simulation: all faults end, every client reads and acknowledges everything, and what remains expires.

use std::time::Duration;

use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_domain::use_cases::ForgetKeys;

use crate::oracle::{Check, ensure};
use crate::step::{Ask, Position, Step};
use crate::world::{CLIENTS, REPLICAS, World};

/// A duration in which everything expires: every idempotency key, and every message, even if it was sent while a clock
/// was wrong. This much time passes at the end of a simulation.
const END: Duration = Duration::from_secs(90 * 24 * 60 * 60);

impl World {
    /// Ends the simulation. Checks that no message was lost, and that all messages and idempotency keys expire in the
    /// end.
    pub(crate) fn drain(&mut self) -> Check {
        let drained = self.drain_all();
        self.first_violation(drained)
    }

    fn drain_all(&mut self) -> Check {
        self.heal();
        self.settle()?;
        self.advance(Duration::from_secs(60), None)?;
        self.settle()?;
        for client in 0..CLIENTS {
            self.read_all(client)?;
        }
        self.audit()?;
        // Servers count the age of keys in steps of an hour, so this takes more looks than the rest.
        for _ in 0..2 {
            self.advance(16 * ForgetKeys::GENERATION, None)?;
        }
        self.advance(END, None)?;
        for replica in 0..REPLICAS {
            self.step(Step::Sweep { replica, in_flight: false })?;
        }
        let end = Timestamp::from_micros(i64::MAX);
        let expired = block_on(self.shared.store.expire(end, 1000));
        ensure(expired == 0, "D7 everything expires", || format!("{expired} messages remain"))?;
        let keys = block_on(self.shared.store.expire_idempotency_keys(KeyGeneration::new(i64::MAX), 1000));
        ensure(keys == 0, "D4 keys are forgotten after a day", || format!("{keys} keys remain"))
    }

    fn ask(&mut self, client: usize, ask: Ask) -> Check {
        self.step(Step::Request { client, replica: client % REPLICAS, ask, in_flight: false })
    }

    /// Reads and acknowledges the mailbox of a client, page by page.
    fn read_all(&mut self, client: usize) -> Check {
        let Some(device) = self.clients.clients[client].device else { return Ok(()) };
        let rest = |world: &Self| {
            let oracle = world.shared.oracle();
            let mailbox = oracle.truth.mailboxes.get(&device);
            mailbox.map_or(0, |mailbox| mailbox.last().get() - mailbox.acknowledged.get())
        };
        // The client may first have to log in, and to find out its password.
        let mut rounds = rest(self) + 8;
        let mut from = Position::Start;
        while rounds > 0 && (rest(self) > 0 || from == Position::Start) {
            self.ask(client, Ask::Read { from, count: 3, wait: false })?;
            self.ask(client, Ask::Acknowledge(Position::Seen))?;
            from = Position::Seen;
            rounds -= 1;
        }
        // Unless its account is gone, or a restore has brought back a password that it has forgotten.
        let is_in = self.clients.clients[client].device == Some(device);
        ensure(!is_in || rest(self) == 0, "D2 D7 a client that reads on reaches the end", || format!("{device:?}"))
    }

    /// Compares all mailboxes of the store with those of the oracle.
    fn audit(&self) -> Check {
        let oracle = self.shared.oracle();
        let limit = PageLimit { count: usize::MAX, bytes: usize::MAX };
        let now = self.replicas[0].clock.expiry_time();
        oracle.truth.mailboxes.keys().try_for_each(|device| {
            let page = block_on(Mailboxes::read(&self.shared.store, *device, SequenceNumber::ZERO, limit, now));
            oracle.read(*device, SequenceNumber::ZERO, limit, now, page.as_ref())
        })
    }
}

/// Runs an operation of the in-memory store. Such an operation never waits.
fn block_on<T>(operation: impl Future<Output = Result<T, PortError>>) -> T {
    crate::world::run(operation).unwrap()
}
