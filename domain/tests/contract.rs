//! Runs the test cases of the delivery contract on the in-memory store.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

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
    let documentation = Trial::test("documentation::every_named_test_exists", || {
        every_named_test_exists();
        Ok(())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.chain([documentation]).collect()).exit();
}

/// Checks that the documentation of the contract names only test cases and files that exist. Its lists contain these
/// names in backticks.
fn every_named_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let documentation = include_str!("../src/contract/mod.rs").lines().filter_map(|line| line.strip_prefix("//! "));
    let lists = documentation.filter(|line| line.starts_with("- ") || line.starts_with("  "));
    let mut count = 0;
    for name in lists.flat_map(|line| line.split('`').skip(1).step_by(2)) {
        let exists = match name.contains("::") {
            true => contract::cases().iter().any(|case| case.name == name),
            false => root.join(name).exists(),
        };
        assert!(exists, "there is no {name}");
        count += 1;
    }
    assert!(count > 0, "the documentation names no tests");
}
