//! Tests of the harness's command line, as test suites in other languages use it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::TcpListener;
use std::process::{Command, Stdio};

fn harness(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_woosh-harness"));
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn run_passes_a_server_url_to_the_command_and_returns_its_exit_status() {
    let output = harness(&["run", "--", "sh", "-c", "echo $WOOSH_URL; exit 7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("http://127.0.0.1:"));
}

#[test]
fn run_returns_128_plus_the_signal_that_killed_the_command() {
    let output = harness(&["run", "--", "sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn run_forwards_signals_to_the_command() {
    let mut child = harness(&["run", "--", "sh", "-c", "trap 'exit 42' TERM; echo up; while :; do sleep 0.01; done"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(42));
}

#[test]
fn run_names_a_command_that_does_not_exist() {
    let output = harness(&["run", "--", "no-such-command"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-command"));
}

#[test]
fn start_reports_a_port_that_is_in_use() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let output = harness(&["start", "--port", &port]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains(&format!("can't listen on 127.0.0.1:{port}")), "{text}");
}

#[test]
fn sanity_fails_every_check_against_an_unreachable_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // The port refuses connections from now on.
    drop(listener);
    let output = harness(&["sanity", "--url", &url]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let checks = woosh_harness::sanity::checks().len();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.ends_with(&format!("0 passed, {checks} failed\n")), "{text}");
}
