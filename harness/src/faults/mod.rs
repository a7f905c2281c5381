//! Runs under faults: a black-box test of the delivery contract on fresh servers whose database, disk, network, clock
//! or process fails.
//!
//! Each fault is injected into a fresh server with a fresh database, so that no fault affects the result of another.

mod args;
mod clock;
mod fault;
mod inject;
mod prepare;
mod report;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::FutureExt as _;
use serde_json::json;
use tokio::time::sleep;

pub(crate) use self::args::FaultsArgs;
pub(crate) use self::fault::Fault;

use self::fault::Effect;
use self::prepare::{Prepared, prepare};
use self::report::{Observed, Report, Result};
use crate::deployment::Deployment;
use crate::load::{Choices, Conditions, Probe, Run};
use crate::{Backend, client};

/// Number of sends that are accepted before a fault begins, and after the server serves again.
const SENDS: usize = 50;
/// Maximum time until the servers have accepted [`SENDS`] sends.
const SENDS_LIMIT: Duration = Duration::from_secs(30);
/// For this time after the beginning of a fault, accepted sends are not counted, because they may have been sent before
/// the fault.
const SETTLE: Duration = Duration::from_millis(500);
/// Maximum time to read the messages that remain after the last send.
const READ_LIMIT: Duration = Duration::from_secs(60);

/// Injects the faults one after the other, and prints a line for each. Returns `false` if the test of a fault failed.
pub(crate) async fn run(args: &FaultsArgs, program: &Path, mut print: impl FnMut(String)) -> anyhow::Result<bool> {
    let cases = args.cases();
    ensure!(!cases.is_empty(), "--only names no fault of this database");
    let mut reports = Vec::new();
    for (backend, fault) in cases {
        let result = run_fault(program, backend, fault, fault.duration(args.seconds)).await;
        let report = Report { backend, fault, result: result.unwrap_or_else(Result::Broken) };
        print(report.to_string());
        reports.push(report);
    }
    let [passed, failed, skipped] =
        ["passed", "FAILED", "skipped"].map(|status| reports.iter().filter(|report| report.status() == status).count());
    print(format!("{passed} passed, {failed} failed, {skipped} skipped"));
    if let Some(file) = &args.json {
        let document = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "seconds": args.seconds,
            "faults": reports.iter().map(Report::json).collect::<Vec<_>>(),
        });
        std::fs::write(file, format!("{document:#}\n")).with_context(|| format!("can't write {}", file.display()))?;
    }
    Ok(failed == 0)
}

async fn run_fault(program: &Path, backend: Backend, fault: Fault, hold: Duration) -> anyhow::Result<Result> {
    let mut deployment = match prepare(program, backend, fault).await? {
        Prepared::Ready(deployment) => deployment,
        Prepared::Skipped(reason) => return Ok(Result::Skipped(reason)),
    };
    let run = Run::new(Conditions {
        urls: deployment.urls(),
        suffix: String::new(),
        behind_proxy: false,
        late_recipient: true,
        limit: hold + fault.limit() + READ_LIMIT,
        pause: Duration::from_millis(20),
    });
    let mut observed = Observed::default();
    let disrupting = disrupt(&run, fault, &mut deployment, hold, &mut observed).boxed_local();
    let limit = 2 * (hold + fault.limit() + SENDS_LIMIT + READ_LIMIT);
    run.drive(&mut Choices::new(fastrand::u64(..)), limit, disrupting).await?;
    for violation in deployment.audit().await? {
        run.ledger().violate(violation);
    }
    Ok(Result::Done { observed, outcome: run.into_outcome() })
}

/// Injects a fault while messages are sent and read, and ends it after the time `hold`. Stores in `observed` how the
/// server behaved. Wrong behaviour, such as an accepted send while the server should refuse sends, is added to the
/// ledger as a violation.
async fn disrupt(
    run: &Run,
    fault: Fault,
    deployment: &mut Deployment,
    hold: Duration,
    observed: &mut Observed,
) -> anyhow::Result<()> {
    let mut probe = Probe::start(run).await?;
    run.wait_for_sends(SENDS, SENDS_LIMIT).await?;
    probe.wait_until_served(Instant::now(), SENDS_LIMIT).await;
    let day = probe.day();
    let before = run.ledger().refused();
    observed.note = inject::begin(fault, deployment).await?;
    if fault.effect() != Effect::Instant {
        let accepted = accepted_during(run, hold).await;
        let refused = run.ledger().refused() - before;
        let violations =
            unexpected(fault.effect(), accepted, refused).into_iter().chain(missing_log(fault, deployment));
        violations.for_each(|violation| run.ledger().violate(violation));
        observed.ready = ready(&run.conditions.urls[0]).await?;
    }
    if fault == Fault::Clock {
        probe.wait_until_served(Instant::now(), fault.limit()).await;
        if probe.day() == day {
            run.ledger().violate(format!("the clock was not moved: a message was sent on {day}"));
        }
        observed.note = Some(format!("a message was sent on {}", probe.day()));
    }

    let end = Instant::now();
    if let Err(error) = inject::end(fault, deployment).await {
        run.ledger().violate(format!("the fault could not be ended: {error:#}"));
    }
    observed.served = probe.wait_until_served(end, fault.limit()).await.with_context(|| {
        let limit = fault.limit().as_secs();
        format!("the server did not serve again within {limit} s; {}", run.ledger().violations().join("; "))
    })?;
    run.wait_for_sends(SENDS, SENDS_LIMIT).await
}

/// Waits for `hold` while a fault lasts. Returns the number of sends that are accepted in this time, not counting the
/// first [`SETTLE`].
async fn accepted_during(run: &Run, hold: Duration) -> usize {
    sleep(SETTLE).await;
    let before = run.accepted();
    sleep(hold.saturating_sub(SETTLE)).await;
    run.accepted() - before
}

/// Returns a violation if the number of accepted sends or of refused requests contradicts `effect`, the effect of a
/// fault.
fn unexpected(effect: Effect, accepted: usize, refused: usize) -> Option<String> {
    match effect {
        Effect::Refuses if accepted > 0 => Some(format!("{accepted} sends were accepted while the fault lasted")),
        Effect::Serves if accepted == 0 => Some("no send was accepted while the fault lasted".to_owned()),
        Effect::Disturbs if refused == 0 => Some("no request was refused while the fault lasted".to_owned()),
        _ => None,
    }
}

/// Returns the status of `/health/ready`, or `None` if there is no answer.
async fn ready(url: &str) -> anyhow::Result<Option<u16>> {
    let response = client::http(Duration::from_secs(3))?.get(format!("{url}/health/ready")).send().await;
    Ok(response.ok().map(|response| response.status().as_u16()))
}

/// Returns a violation if the server has not logged the text that [`Fault::logged`] names.
fn missing_log(fault: Fault, deployment: &Deployment) -> Option<String> {
    let text = fault.logged()?;
    match deployment.servers[0].output() {
        Ok(output) if output.contains(text) => None,
        Ok(output) => Some(format!("the server did not log {text:?}, but {output:?}")),
        Err(error) => Some(format!("the log of the server is unreadable: {error:#}")),
    }
}
