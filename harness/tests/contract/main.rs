//! Runs the contract suite of the ports (the interfaces to the database) on SQLite, on Postgres, and on two replicas
//! that share one Postgres. `woosh_domain::contract` lists the cases that verify each promise of the delivery contract.
#![allow(clippy::unwrap_used, reason = "a test")]

mod fixture;
mod in_turn;
mod many_mailboxes;
mod one_transaction;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use in_turn::InTurn;
use libtest_mimic::{Arguments, Failed};
use sqlx::{ConnectOptions as _, PgConnection};
use woosh_adapters::database::Database;
use woosh_domain::contract::{self, Case};
use woosh_domain::model::Timestamp;
use woosh_domain::ports::Stores;
use woosh_harness::{Backend, TestDatabase};

/// The time of the test's clock at which every case starts, as a Unix second.
const START: i64 = 1_700_000_000;
/// A duration in seconds after which everything that a case stores has expired.
const YEAR: i64 = 365 * 24 * 60 * 60;

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("replicas", Backend::Postgres, 2)];
    let trials = targets.into_iter().flat_map(|(name, backend, replicas)| {
        contract::cases()
            .into_iter()
            .map(move |case| support::trial(name, backend, case.name, move || check(backend, replicas, case)))
    });
    let name = "a_send_and_its_idempotency_key_are_stored_in_one_transaction";
    let one_transaction = [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)]
        .map(|(group, backend)| support::trial(group, backend, name, move || run(one_transaction::check(backend))));
    let name = "a_send_to_many_mailboxes_notifies_the_readers_of_another_replica";
    let many_mailboxes = [support::trial("replicas", Backend::Postgres, name, || run(many_mailboxes::check()))];
    let trials = trials.chain(one_transaction).chain(many_mailboxes).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test).map_err(|error| format!("{error:#}").into())
}

/// Fails if Postgres has counted deadlocks in the database. The case itself does not notice a deadlock: Postgres aborts
/// one of the transactions, and the store tries that transaction again. Close the store before the call: its
/// connections may report deadlocks to the statistics of Postgres only when they end.
async fn ensure_no_deadlocks(connection: &mut PgConnection) -> Result<(), Failed> {
    for _ in 0..500 {
        let query = "SELECT (SELECT count(*) FROM pg_stat_activity
                             WHERE datname = current_database() AND application_name = 'woosh-server'),
                            deadlocks
                     FROM pg_stat_database WHERE datname = current_database()";
        let (open, deadlocks): (i64, i64) = sqlx::query_as(query).fetch_one(&mut *connection).await?;
        if deadlocks > 0 {
            return Err(format!("{deadlocks} deadlocks").into());
        }
        if open == 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("the store's connections are still open".into())
}

/// Runs a case of the contract suite on a fresh database, and then checks the tables for inconsistencies. If there are
/// several replicas, the calls of the port `Mailboxes` go to each replica in turn.
fn check(backend: Backend, replicas: usize, case: Case) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let test_database = TestDatabase::create(backend).await.map_err(|error| format!("{error:#}"))?;
        let mut databases = Vec::new();
        for _ in 0..replicas {
            databases.push(Database::open(test_database.url(), Duration::ZERO).await?);
        }
        let mut stores = databases[0].stores();
        if replicas > 1 {
            let mailboxes = databases.iter().map(|database| database.stores().mailboxes).collect();
            stores = Stores { mailboxes: Arc::new(InTurn::new(mailboxes)), ..stores };
        }
        case.run(stores).await;
        // First nothing has expired, then everything.
        for now in [START, START + YEAR] {
            let violations = databases[0].sweep_and_audit(Some(Timestamp::from_seconds(now))).await?;
            if !violations.is_empty() {
                return Err(format!("the tables have {}", violations.join(", ")).into());
            }
        }
        for database in databases {
            database.close().await;
        }
        if let Some(options) = test_database.postgres_options() {
            ensure_no_deadlocks(&mut options.connect().await?).await?;
        }
        Ok(())
    })
}
