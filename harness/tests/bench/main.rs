//! Tests that the benchmark measures every workload, and that it fails if a server misbehaves.
#![allow(clippy::unwrap_used, reason = "a test")]

mod fake;

#[path = "../support/mod.rs"]
mod support;

use std::process::{Command, Output, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use woosh_harness::Backend;

use self::fake::{FakeServer, Fault};

const PROGRAM: &str = env!("CARGO_BIN_EXE_woosh-harness");
const SMALL: &str = "--seconds=1 --runs=1 --users=5 --clients=2 --size=64 --stored=300 --added-users=50 --waiters=20";

fn main() {
    let backends = [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)];
    let groups = ["send receive roundtrip", "mixed fan-out hot", "waiters growth users"];
    let measured = backends.into_iter().flat_map(|(group, backend)| {
        groups.map(|workloads| {
            let name = format!("{}_are_measured", workloads.replace([' ', '-'], "_"));
            support::trial(group, backend, &name, move || every_series_has_figures(backend, workloads))
        })
    });
    let faults = [
        (Fault::Garbage, "returned no receipt"),
        (Fault::Refuse, "expected 201"),
        (Fault::Drop, "is next in this mailbox"),
        (Fault::DropLast, "accepted messages are missing"),
        (Fault::Alter, "that were not sent"),
        (Fault::Swap, "is next in this mailbox"),
        (Fault::Repeat, "was received"),
    ];
    let failed = faults.map(|(fault, message)| {
        let name = format!("a_server_that_does_this_makes_the_benchmark_fail::{fault:?}");
        Trial::test(name, move || a_wrong_answer_fails(fault, message))
    });
    let others = [
        Trial::test("a_server_can_be_measured_by_its_url", a_url),
        Trial::test("users_needs_a_fresh_server", users_needs_a_fresh_server),
    ];
    libtest_mimic::run(&Arguments::from_args(), measured.chain(failed).chain(others).collect()).exit();
}

fn bench(arguments: &str, more: &[&str]) -> Output {
    let arguments = arguments.split(' ').chain(SMALL.split(' ')).chain(more.iter().copied());
    Command::new(PROGRAM).arg("bench").args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn every_series_has_figures(backend: Backend, workloads: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (json, report) = (folder.path().join("bench.json"), folder.path().join("bench.html"));
    let files = ["--json", json.to_str().unwrap(), "--report", report.to_str().unwrap()];
    let output = bench(&format!("{workloads} --backend {backend}"), &files);
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}{errors}");
    assert!(!errors.contains(" of "), "progress is for terminals: {errors}");

    let document: Value = serde_json::from_slice(&std::fs::read(json)?)?;
    for key in ["version", "arguments", "target", "database", "machine", "series"] {
        assert!(!document[key].is_null(), "{key} is missing: {document}");
    }
    assert!(document["machine"]["cores"].as_u64() > Some(0), "{document}");
    let series = document["series"].as_array().unwrap();
    for workload in workloads.split(' ').chain(["limit: bulk insert", "limit: echo"]) {
        assert!(series.iter().any(|series| series["workload"] == workload), "{workload} is missing: {document}");
        assert!(table.contains(&format!("\n{workload}")), "{workload} is missing: {table}");
    }
    for series in series {
        check(series, backend);
    }
    let page = std::fs::read_to_string(report)?;
    assert!(page.contains("<svg") && page.ends_with("</html>\n"), "{page}");
    for external in ["<script", "<link", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(external), "the report has {external}");
    }
    Ok(())
}

/// Checks one entry of the JSON output. An entry has the measured values of a workload, or of a reference measurement
/// that shows the limit of the machine. The values must be present and plausible.
fn check(series: &Value, backend: Backend) {
    let figures = series["figures"].as_object().unwrap();
    assert!(!figures.is_empty(), "{series}");
    for (name, figure) in figures {
        let [median, min, max] = ["median", "min", "max"].map(|key| figure[key].as_f64().unwrap());
        assert!((min..=max).contains(&median), "{name} in {series}");
        assert_eq!(figure["runs"].as_array().unwrap().len(), 1, "{name} in {series}");
        // CPU time is counted in clock ticks, and a short run may use less than one tick.
        let may_be_zero = name.contains("percent") || name.contains("cpu") || name.contains("waiter");
        assert!(if may_be_zero { median >= 0.0 } else { median > 0.0 }, "{name} in {series}");
    }
    let is_limit = series["workload"].as_str().unwrap().starts_with("limit");
    let costs = figures.contains_key("server_cpu_seconds_per_1000");
    let of_database = figures.contains_key("database_cpu_seconds_per_1000");
    assert_eq!(of_database, costs && !is_limit && backend == Backend::Postgres, "{series}");
    if series["workload"] == "send" {
        for name in ["operations_per_second", "p50_ms", "p90_ms", "p99_ms", "server_peak_memory_mib"] {
            assert!(figures.contains_key(name), "{name} is missing: {series}");
        }
        for limit in ["bulk insert", "echo"] {
            assert!(figures["operations_per_second"]["ratios"][limit].as_f64() > Some(0.0), "{series}");
        }
    }
}

/// The benchmark succeeds on a fake server without a fault. This shows that the runs with a fault fail because of that
/// fault.
fn a_url() -> Result<(), Failed> {
    let server = FakeServer::start(None)?;
    let output = bench("send receive mixed", &["--url", &server.url]);
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}{errors}");
    assert!(table.contains("n/a") && !table.contains("bulk"), "{table}");
    Ok(())
}

fn a_wrong_answer_fails(fault: Fault, message: &str) -> Result<(), Failed> {
    let server = FakeServer::start(Some(fault))?;
    let output = bench("send", &["--url", &server.url]);
    let (table, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{table}{errors}");
    assert!(errors.starts_with("woosh-harness: send, 2 clients: ") && errors.contains(message), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    Ok(())
}

fn users_needs_a_fresh_server() -> Result<(), Failed> {
    let server = FakeServer::start(None)?;
    let output = bench("users", &["--url", &server.url]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("needs a fresh server"), "{errors}");
    Ok(())
}
