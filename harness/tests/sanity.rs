//! Runs the sanity suite on fresh servers, with each backend.

mod support;

use libtest_mimic::{Arguments, Failed};
use woosh_harness::Backend;
use woosh_harness::sanity::{self, Check, Target};

/// The name of a check that takes long. It runs only on SQLite, because it would read the same pages on Postgres.
const BACKLOG: &str = "classic::backlog::three_hundred_messages_arrive_in_order";

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("two_replicas", Backend::Postgres, 2)];
    assert!(sanity::checks().iter().any(|check| check.name == BACKLOG));
    let trials = targets.into_iter().flat_map(|(group, backend, replicas)| {
        let target = Target::Fresh { backend, replicas };
        let checks = sanity::checks().into_iter().filter(move |check| group == "sqlite" || check.name != BACKLOG);
        checks.map(move |check| {
            let target = target.clone();
            support::trial(group, backend, check.name, move || run(check, &target))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn run(check: Check, target: &Target) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(check.run(target)).map_err(|error| format!("{error:#}").into())
}
