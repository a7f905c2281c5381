//! Verifies promises D1 and D2 on a server whose disk is nearly full or full. Below the minimum of free space, requests
//! that free space or only read must still succeed.
#![allow(clippy::unwrap_used, reason = "a test")]

mod fixture;
mod full;
mod low;
#[path = "../support/mod.rs"]
mod support;
mod tmpfs;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use woosh_harness::Backend;

use tmpfs::Tmpfs;

type Test = LocalBoxFuture<'static, anyhow::Result<()>>;

fn main() {
    let trials = vec![
        trial(
            Backend::Sqlite,
            "below_the_minimum_nothing_new_is_stored_and_all_else_works_also_after_a_restart",
            || Box::pin(low::refused()),
        ),
        trial(Backend::Postgres, "the_minimum_does_not_apply_to_postgres", || Box::pin(low::other_machine())),
        on_tmpfs("a_disk_that_sends_fill_keeps_its_minimum_and_acknowledgements_make_room_again", |disk| {
            Box::pin(low::filled(disk))
        }),
        on_tmpfs("on_a_full_disk_sends_are_refused_and_no_accepted_message_is_lost", |disk| {
            Box::pin(full::sqlite(disk))
        }),
        trial(Backend::Postgres, "sends_get_507_while_the_disk_of_postgres_is_full", || Box::pin(full::postgres())),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(backend: Backend, name: &str, test: fn() -> Test) -> Trial {
    support::trial(&backend.to_string(), backend, name, move || run(test()))
}

/// Creates a trial, which is a test of `libtest-mimic`, on a small file system in memory. If the file system can't be
/// mounted, the trial is ignored, and its output says why.
fn on_tmpfs(name: &str, test: fn(Tmpfs) -> Test) -> Trial {
    let trial = Trial::test(format!("sqlite::{name}"), move || run(test(Tmpfs::mount()?)));
    // Not the one of the test, because a trial that does not run is not always dropped.
    match Tmpfs::mount() {
        Ok(_) => trial,
        Err(error) => trial.with_kind(format!("can't mount a small file system: {error:#}")).with_ignored_flag(true),
    }
}

fn run(test: Test) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test).map_err(|error| Failed::from(format!("{error:#}")))
}
