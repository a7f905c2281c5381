//! Verifies promises D2 (no loss), D3 (order), D5 (idempotent acknowledge), D6 (atomic fan-out), D7 (visible loss) and
//! D10 (agnostic) of the delivery contract with a model-based property test on every store. After any sequence of
//! sends, reads, acknowledgements, expiries, deletions and clock changes, each mailbox must equal a simple model of the
//! mailbox.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use woosh_adapters::database::Database;
use woosh_domain::fakes::MemoryStore;
use woosh_domain::ports::Stores;
use woosh_harness::{Backend, TestDatabase};

use self::world::World;

const NAME: &str = "after_any_sequence_of_steps_each_mailbox_equals_its_model";

fn main() {
    let trial = |backend: Backend| {
        support::trial(&backend.to_string(), backend, NAME, move || {
            runtime().block_on(async {
                let test_database = TestDatabase::create(backend).await.map_err(|error| format!("{error:#}"))?;
                let database = Database::open(test_database.url(), Duration::ZERO).await?;
                check(database.stores(), Some(&database), 60)?;
                database.close().await;
                Ok(())
            })
        })
    };
    let memory = Trial::test(format!("memory::{NAME}"), || {
        runtime().block_on(async { check(MemoryStore::stores(), None, 300) })
    });
    libtest_mimic::run(&Arguments::from_args(), vec![memory, trial(Backend::Sqlite), trial(Backend::Postgres)]).exit();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        /// The recipients: 0 is Alice, 1 is Carol, 2 is both.
        to: u8,
        /// The size of the contents, in bytes.
        size: usize,
        /// The time until the message expires, in seconds.
        ttl: u64,
    },
    /// Moves the clock by a number of seconds, which may be negative.
    Tick(i64),
    Read {
        mailbox: usize,
        after: i64,
        count: usize,
        bytes: usize,
    },
    Acknowledge {
        mailbox: usize,
        /// The sequence number to acknowledge, relative to the newest sequence number of the mailbox.
        from_newest: i64,
        /// The incarnation to pass with the acknowledgement: the current incarnation (`true`), another incarnation
        /// (`false`), or none (`None`).
        in_current: Option<bool>,
        limit: usize,
    },
    /// Acknowledges the messages of a mailbox that were sent before a cutoff, as the classic API does.
    AcknowledgeBefore {
        mailbox: usize,
        /// The cutoff, in seconds relative to the current time of the test's clock. Messages with an earlier `sent_at`
        /// are acknowledged.
        seconds: i64,
    },
    Expire,
    /// Gives the mailboxes a new incarnation, as after a restore from a backup.
    Restored,
    /// Deletes Alice's second device.
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, 0..12_usize, 1..20_u64).prop_map(|(to, size, ttl)| Step::Send { to, size, ttl }),
        3 => (-3..9_i64).prop_map(Step::Tick),
        6 => (0..3_usize, 0..15_i64, 1..6_usize, 1..30_usize)
            .prop_map(|(mailbox, after, count, bytes)| Step::Read { mailbox, after, count, bytes }),
        4 => (0..3_usize, -4..3_i64, prop::option::of(prop::bool::weighted(0.7)), 1..4_usize).prop_map(
            |(mailbox, from_newest, in_current, limit)| Step::Acknowledge { mailbox, from_newest, in_current, limit },
        ),
        1 => (0..3_usize, -10..10_i64).prop_map(|(mailbox, seconds)| Step::AcknowledgeBefore { mailbox, seconds }),
        2 => Just(Step::Expire),
        1 => Just(Step::Restored),
        1 => Just(Step::Delete),
    ]
}

/// Verifies promises D2, D3, D5, D6, D7 and D10 of the delivery contract. Runs `cases` random sequences of operations
/// on a store and on its model, compares the results, and checks the tables for inconsistencies after each sequence.
fn check(stores: Stores, database: Option<&Database>, cases: u32) -> Result<(), Failed> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..80);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&steps, |steps| {
            let handle = tokio::runtime::Handle::current();
            handle.block_on(async {
                let mut world = World::new(&stores, database).await;
                for step in steps {
                    world.run(step).await?;
                }
                world.finish().await
            })
        })
    });
    outcome.map_err(|error| error.to_string().into())
}
