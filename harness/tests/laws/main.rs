//! The laws of the mailbox, on every store: whatever is sent, read, acknowledged, expired and deleted, in whatever order and
//! however the clock is set, each mailbox holds what a simple model of it holds.
#![allow(clippy::unwrap_used, reason = "a test")]

mod model;
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

const NAME: &str = "a_mailbox_is_what_was_sent_to_it_less_what_was_acknowledged_expired_and_refused";

fn main() {
    let stored = |backend: Backend| {
        support::trial(&backend.to_string(), backend, NAME, move || {
            runtime().block_on(async {
                let place = TestDatabase::create(backend).await.map_err(|error| format!("{error:#}"))?;
                let database = Database::open(place.url(), Duration::ZERO).await?;
                hold(database.stores(), 60)?;
                database.close().await;
                Ok(())
            })
        })
    };
    let memory =
        Trial::test(format!("memory::{NAME}"), || runtime().block_on(async { hold(MemoryStore::stores(), 300) }));
    libtest_mimic::run(&Arguments::from_args(), vec![memory, stored(Backend::Sqlite), stored(Backend::Postgres)])
        .exit();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    /// To Alice, to Carol, or to both; of that many bytes, to wait that many seconds.
    Send {
        to: u8,
        size: usize,
        ttl: u64,
    },
    /// The clock moves, maybe back.
    Tick(i64),
    Read {
        mailbox: usize,
        after: i64,
        count: usize,
        bytes: usize,
    },
    /// Up to so many before or beyond the newest.
    Acknowledge {
        mailbox: usize,
        from_newest: i64,
        limit: usize,
    },
    /// The classic way.
    AcknowledgeBefore {
        mailbox: usize,
        seconds: i64,
    },
    Expire,
    /// Deletes Alice's second device.
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u8, 0..12_usize, 1..20_u64).prop_map(|(to, size, ttl)| Step::Send { to, size, ttl }),
        3 => (-3..9_i64).prop_map(Step::Tick),
        6 => (0..3_usize, 0..15_i64, 1..6_usize, 1..30_usize)
            .prop_map(|(mailbox, after, count, bytes)| Step::Read { mailbox, after, count, bytes }),
        4 => (0..3_usize, -4..3_i64, 1..4_usize)
            .prop_map(|(mailbox, from_newest, limit)| Step::Acknowledge { mailbox, from_newest, limit }),
        1 => (0..3_usize, -10..10_i64).prop_map(|(mailbox, seconds)| Step::AcknowledgeBefore { mailbox, seconds }),
        2 => Just(Step::Expire),
        1 => Just(Step::Delete),
    ]
}

fn hold(stores: Stores, cases: u32) -> Result<(), Failed> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let steps = prop::collection::vec(step(), 1..80);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&steps, |steps| {
            let handle = tokio::runtime::Handle::current();
            handle.block_on(async {
                let mut world = World::new(&stores).await;
                for step in steps {
                    world.take(step).await?;
                }
                world.end().await
            })
        })
    });
    outcome.map_err(|error| error.to_string().into())
}
