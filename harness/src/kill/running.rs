use std::io::{Read as _, Seek as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::FutureExt as _;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::client;
use crate::load::{Choices, Conditions, Outcome, Run};

/// A run on a server that is already running.
#[derive(Debug, Clone)]
pub struct RunningPlan {
    /// The URL of the server, or of a proxy before its replicas.
    pub url: String,
    /// A command for `sh -c` that kills the server and starts it again.
    pub restart: String,
    /// When the run ends.
    pub length: Length,
    /// The seed of all random choices: the requests to drop, and the times of the restarts.
    pub seed: u64,
}

/// When a run on a running server ends.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// After this number of restarts.
    Restarts(u32),
    /// After the first restart that ends later than this duration after the start.
    Duration(Duration),
}

/// Maximum duration of each of these: a send, reading the remaining messages, one restart, and the wait until the
/// server is ready.
const LIMIT: Duration = Duration::from_secs(180);
/// The number of sends that the server must accept before each restart and after the last one, so that each restart
/// happens under load.
const SENDS: usize = 50;

/// Sends and reads messages on a running server while a command restarts the server. The run does not delete the users
/// that it registers.
///
/// # Errors
///
/// If the server does not become ready, the command fails, or the run does not end. Violations of the contract are not
/// an error but part of the outcome.
pub async fn run_on(plan: &RunningPlan) -> anyhow::Result<Outcome> {
    let url = plan.url.trim_end_matches('/');
    ensure!(cfg!(feature = "tls") || !url.starts_with("https:"), "{url} needs a harness built with the feature `tls`");
    let run = Run::new(Conditions {
        urls: vec![url.to_owned()],
        // The usernames of an earlier run with the same seed are taken.
        suffix: format!("-{:08x}", fastrand::u32(..)),
        behind_proxy: true,
        late_recipient: false,
        limit: LIMIT,
        pause: Duration::from_millis(50),
    });
    wait_until_ready(url).await?;
    let mut choices = Choices::new(plan.seed);
    let restarting = restart(&run, plan, choices.fork()).boxed_local();
    let limit = match plan.length {
        Length::Restarts(count) => 3 * LIMIT * count,
        Length::Duration(duration) => duration + 3 * LIMIT,
    };
    run.drive(&mut choices, limit + 3 * LIMIT, restarting).await?;
    Ok(run.into_outcome())
}

/// Restarts the server at random moments.
async fn restart(run: &Run, plan: &RunningPlan, mut choices: Choices) -> anyhow::Result<()> {
    let start = Instant::now();
    let mut restarts = 0;
    loop {
        run.wait_for_sends(SENDS, LIMIT).await?;
        let ends = match plan.length {
            Length::Restarts(count) => restarts >= count,
            Length::Duration(duration) => start.elapsed() >= duration,
        };
        if ends {
            return Ok(());
        }
        sleep(choices.micros(20_000..400_000)).await;
        run_command(&plan.restart).await?;
        restarts += 1;
        run.ledger().kills += 1;
        wait_until_ready(&run.conditions.urls[0]).await?;
    }
}

async fn run_command(command: &str) -> anyhow::Result<()> {
    // The output goes to a file instead of a pipe, because a server that the command leaves running could keep a pipe
    // open.
    let mut output = tempfile::tempfile()?;
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .kill_on_drop(true)
        .spawn()
        .context("can't run sh")?;
    let status = timeout(LIMIT, child.wait())
        .await
        .with_context(|| format!("the restart command did not end within {} seconds", LIMIT.as_secs()))??;
    if !status.success() {
        let mut text = Vec::new();
        output.rewind()?;
        output.read_to_end(&mut text)?;
        bail!("the restart command failed with {status}: {}", String::from_utf8_lossy(&text).trim());
    }
    Ok(())
}

async fn wait_until_ready(url: &str) -> anyhow::Result<()> {
    let http = client::http(Duration::from_secs(5))?;
    let start = Instant::now();
    loop {
        let failure = match http.get(format!("{url}/health/ready")).send().await {
            Ok(response) if response.status() == 200 => return Ok(()),
            Ok(response) => anyhow::anyhow!("/health/ready returned {}", response.status()),
            Err(error) => error.into(),
        };
        if start.elapsed() > LIMIT {
            return Err(failure.context(format!("{url} is not ready after {} seconds", LIMIT.as_secs())));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
