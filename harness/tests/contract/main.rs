//! Runs the contract suite of the ports (the interfaces to the database) on SQLite, on Postgres, and on two replicas
//! that share one Postgres. `woosh_domain::contract` lists the cases that verify each promise of the delivery contract.

mod in_turn;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use in_turn::InTurn;
use libtest_mimic::{Arguments, Failed};
use woosh_adapters::database::Database;
use woosh_domain::contract::{self, Case};
use woosh_domain::ports::Stores;
use woosh_harness::{Backend, TestDatabase};

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("replicas", Backend::Postgres, 2)];
    let trials = targets.into_iter().flat_map(|(name, backend, replicas)| {
        contract::cases()
            .into_iter()
            .map(move |case| support::trial(name, backend, case.name, move || check(backend, replicas, case)))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// Runs a case of the contract suite on a fresh database. If there are several replicas, the calls of the port
/// `Mailboxes` go to each replica in turn.
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
        for database in databases {
            database.close().await;
        }
        Ok(())
    })
}
