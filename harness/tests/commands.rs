//! The harness as other languages use it.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::TcpListener;
use std::process::{Command, Stdio};

fn harness(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_woosh-harness"));
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn run_gives_the_command_a_server_and_gives_back_its_status() {
    let output = harness(&["run", "--", "sh", "-c", "echo $WOOSH_URL; exit 7"]).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("http://127.0.0.1:"));
}

#[test]
fn run_gives_back_how_a_command_was_killed() {
    let output = harness(&["run", "--", "sh", "-c", "kill -KILL $$"]).output().unwrap();
    assert_eq!(output.status.code(), Some(128 + 9));
}

#[test]
fn run_passes_a_signal_on_to_the_command() {
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
fn a_command_that_is_not_there_is_named() {
    let output = harness(&["run", "--", "no-such-command"]).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-command"));
}

#[test]
fn a_port_in_use_is_an_error_with_its_cause() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = harness(&["start", "--port", &port]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(text.contains(&format!("can't listen on 127.0.0.1:{port}")), "{text}");
}

#[test]
fn the_sanity_suite_fails_against_something_else_and_says_how_often() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // It refuses every connection from now on.
    drop(listener);
    let output = harness(&["sanity", "--url", &url]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let checks = woosh_harness::sanity::checks().len();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.ends_with(&format!("0 passed, {checks} failed\n")), "{text}");
}
