//! Verifies that promises D1 (durable) to D6 (atomic fan-out) of the delivery contract hold while servers are killed
//! and restarted.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use woosh_harness::Backend;
use woosh_harness::kill::{self, Plan};

const PROGRAM: &str = env!("CARGO_BIN_EXE_woosh-harness");

/// A script that runs a server, and starts the server again when it is killed. The script ends when its standard input
/// closes.
const SUPERVISE: &str = r#"
exec 3<&0
while :; do
    "$1" serve --host 127.0.0.1 --port "$2" --database sqlite:woosh.db --log warn <&3 &
    echo $! >pid.new && mv pid.new pid
    wait $!
    [ $? -gt 128 ] || exit
done
"#;

/// A shell command that kills the server, and waits until the script `SUPERVISE` has started the server again.
const RESTART: &str = r#"old=$(cat pid) && kill -9 "$old" && while [ "$(cat pid)" = "$old" ]; do sleep 0.01; done"#;

fn main() {
    let targets =
        [("sqlite", Backend::Sqlite, 1), ("postgres", Backend::Postgres, 1), ("two_replicas", Backend::Postgres, 2)];
    let trials = targets.into_iter().flat_map(|(group, backend, replicas)| {
        [("a_fixed_seed", 1), ("a_random_seed", fastrand::u64(..))].map(|(kind, seed)| {
            let name = format!("accepted_messages_are_received_once_and_in_order_across_kills_with_{kind}");
            let plan = Plan { backend, replicas, faults: false, seed, duration: Duration::from_secs(4) };
            support::trial(group, backend, &name, move || run(group, &plan))
        })
    });
    // The first disruption of this seed is a fault.
    let mixed =
        [("sqlite", Backend::Sqlite, 1), ("two_replicas", Backend::Postgres, 2)].map(|(group, backend, replicas)| {
            let plan = Plan { backend, replicas, faults: true, seed: 2, duration: Duration::from_secs(4) };
            support::trial(group, backend, "nothing_is_lost_if_faults_are_mixed_into_the_kills", move || {
                mix(group, &plan)
            })
        });
    let name = "a_running_server_that_a_command_restarts_loses_nothing";
    let running = support::trial("sqlite", Backend::Sqlite, name, restart_by_command);
    libtest_mimic::run(&Arguments::from_args(), trials.chain(mixed).chain([running]).collect()).exit();
}

/// Verifies promises D1 (durable) to D6 (atomic fan-out) of the delivery contract while servers are killed.
fn run(group: &str, plan: &Plan) -> Result<(), Failed> {
    let program = Path::new(PROGRAM);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(kill::run(program, plan)).map_err(|error| format!("{error:#}"))?;
    println!("{group}, seed {}: {outcome}", plan.seed);
    assert!(outcome.violations.is_empty(), "seed {}: {:#?}", plan.seed, outcome.violations);
    assert_eq!(outcome.lost, 0);
    // Without kills, unanswered requests and repeated reads, the run proves nothing.
    assert!(outcome.kills > 0 && outcome.unanswered > 0 && outcome.received > outcome.accepted, "{outcome}");
    Ok(())
}

/// Verifies promises D1 (durable) to D6 (atomic fan-out) of the delivery contract while servers are killed. Between the
/// kills, other faults are injected.
fn mix(group: &str, plan: &Plan) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let outcome = runtime.block_on(kill::run(Path::new(PROGRAM), plan)).map_err(|error| format!("{error:#}"))?;
    println!("{group}, seed {}: {outcome}", plan.seed);
    assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
    assert!(!outcome.faults.is_empty() && outcome.accepted > 0, "{outcome}");
    Ok(())
}

fn restart_by_command() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let mut supervisor = Command::new("sh")
        .args(["-c", SUPERVISE, "supervisor", PROGRAM, &port])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stderr(File::create(folder.path().join("log"))?)
        .spawn()?;
    let url = format!("http://127.0.0.1:{port}");
    let output = Command::new(PROGRAM)
        .args(["kill", "--url", &url, "--restarts", "3", "--restart", RESTART])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()?;
    drop(supervisor.stdin.take());
    supervisor.wait()?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{out}{error}{}", std::fs::read_to_string(folder.path().join("log"))?);
    for expected in ["seed ", "The tables are not audited", " 3 kills, ", " 0 lost"] {
        assert!(out.contains(expected), "{expected:?} is missing: {out}");
    }
    Ok(())
}
