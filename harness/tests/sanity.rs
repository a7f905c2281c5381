//! The sanity suite on fresh servers.

use libtest_mimic::{Arguments, Trial};
use woosh_harness::Backend;
use woosh_harness::sanity::{self, Target};

fn main() {
    let trials = sanity::checks().into_iter().map(|check| {
        Trial::test(format!("sqlite::{}", check.name), move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(check.run(&Target::Fresh(Backend::Sqlite))).map_err(|error| format!("{error:#}").into())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
