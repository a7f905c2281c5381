//! Trials of libtest-mimic on every backend.

use libtest_mimic::{Failed, Trial};
use woosh_harness::{Backend, postgres};

/// Makes a trial whose name starts with the backend's. Where there is no Postgres it is ignored, with the reason, unless
/// `WOOSH_REQUIRE_POSTGRES=1`: then it fails.
pub(crate) fn trial(
    group: &str,
    backend: Backend,
    name: &str,
    run: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let trial = Trial::test(format!("{group}::{name}"), run);
    let required = std::env::var("WOOSH_REQUIRE_POSTGRES").is_ok_and(|value| value == "1");
    match postgres::probe() {
        Err(reason) if backend == Backend::Postgres && !required => {
            trial.with_kind(format!("no Postgres: {reason}")).with_ignored_flag(true)
        }
        _ => trial,
    }
}
