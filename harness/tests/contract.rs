//! Runs the contract suite of the ports on SQLite and Postgres. `woosh_domain::contract` lists the cases that verify
//! each promise.

mod support;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use woosh_adapters::database::Database;
use woosh_domain::contract::{self, Case};
use woosh_harness::{Backend, TestDatabase};

fn main() {
    let trials = [Backend::Sqlite, Backend::Postgres].into_iter().flat_map(|backend| {
        let name = backend.to_string();
        contract::cases()
            .into_iter()
            .map(move |case| support::trial(&name, backend, case.name, move || check(backend, case)))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// Runs a case on a fresh database.
fn check(backend: Backend, case: Case) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let test_database = TestDatabase::create(backend).await.map_err(|error| format!("{error:#}"))?;
        let database = Database::open(test_database.url(), Duration::ZERO).await?;
        case.run(database.stores()).await;
        database.close().await;
        Ok(())
    })
}
