//! Creates tests, called trials by `libtest-mimic`, for each backend.

use libtest_mimic::{Failed, Trial};
use woosh_harness::{Backend, postgres};

/// Creates a test whose name starts with `group`. If the test needs Postgres and there is none, the test is ignored,
/// and its output says why. With `WOOSH_REQUIRE_POSTGRES=1`, the test is not ignored, and so fails.
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
