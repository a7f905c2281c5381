//! The contract of the ports, on every database.

use libtest_mimic::{Arguments, Failed, Trial};
use woosh_adapters::database::Database;
use woosh_domain::contract::{self, Case};

fn main() {
    let trials = contract::cases()
        .into_iter()
        .map(|case| Trial::test(format!("sqlite::{}", case.name), move || on_sqlite(case)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn on_sqlite(case: Case) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("woosh.db").display()).parse()?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let database = Database::open(&url).await?;
        case.run(database.stores()).await;
        database.close().await;
        Ok(())
    })
}
