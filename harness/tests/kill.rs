//! D1, D2, D3, D4, D5 and D6 hold while servers are killed and restarted.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;
use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use woosh_harness::Backend;
use woosh_harness::kill::{self, Plan};

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("two_replicas", Backend::Postgres, 2)];
    let trials = targets.into_iter().flat_map(|(group, backend, replicas)| {
        [("a_fixed_seed", 1), ("a_random_seed", getrandom::u64().unwrap())].map(|(kind, seed)| {
            let name = format!("accepted_messages_are_received_once_and_in_order_across_kills_with_{kind}");
            let plan = Plan { backend, replicas, seed, duration: Duration::from_secs(4) };
            support::trial(group, backend, &name, move || run(group, &plan))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

/// D1, D2, D3, D4, D5, D6.
fn run(group: &str, plan: &Plan) -> Result<(), Failed> {
    let program = Path::new(env!("CARGO_BIN_EXE_woosh-harness"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(kill::run(program, plan)).map_err(|error| format!("{error:#}"))?;
    println!("{group}, seed {}: {outcome}", plan.seed);
    assert!(outcome.violations.is_empty(), "seed {}: {:#?}", plan.seed, outcome.violations);
    assert_eq!(outcome.lost, 0);
    // Without kills, unanswered requests and repeated reads, the run proves nothing.
    assert!(outcome.kills > 0 && outcome.unanswered > 0 && outcome.received > outcome.accepted, "{outcome}");
    Ok(())
}
