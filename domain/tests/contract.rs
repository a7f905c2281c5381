//! The contract of the ports, on the fakes.

use libtest_mimic::{Arguments, Trial};
use woosh_domain::{contract, fakes::MemoryStore};

fn main() {
    let trials = contract::cases().into_iter().map(|case| {
        Trial::test(format!("memory::{}", case.name), move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            runtime.block_on(case.run(MemoryStore::stores()));
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}
