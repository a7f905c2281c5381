use std::io::{Read as _, Seek as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use futures_util::FutureExt as _;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::client;
use crate::load::{Choices, Conditions, Outcome, Run};

/// Parameters of a kill run on a server that is already running.
#[derive(Debug, Clone)]
pub struct RunningPlan {
    /// The URL of the server, or of a proxy in front of its replicas.
    pub url: String,
    /// A command for `sh -c` that kills the server and starts it again.
    pub restart: String,
    /// When the run ends.
    pub length: Length,
    /// The seed of all random choices: which requests are dropped, and when the server is restarted.
    pub seed: u64,
}

/// The condition that ends a kill run on a server that was already running.
#[derive(Debug, Clone, Copy)]
pub enum Length {
    /// The run ends after this number of restarts.
    Restarts(u32),
    /// The run ends when this time has passed since its start. The run checks the time only before each restart.
    Duration(Duration),
}

/// Maximum duration of each single step: a send with all its retries, [`SENDS`] sends, a restart, waiting until the
/// server is ready, or reading the messages that remain after the last send.
const LIMIT: Duration = Duration::from_secs(180);
/// The number of sends that the server must accept before each restart and after the last restart, so that each restart
/// happens while messages are sent.
const SENDS: usize = 50;

/// Sends and reads messages on a running server, while a command restarts the server. The users that the run registers
/// remain on the server.
///
/// # Errors
///
/// If the server does not become ready, the command fails, or the run does not end in time. Violations of the contract
/// are no errors: they are part of the outcome.
pub async fn run_on(plan: &RunningPlan) -> anyhow::Result<Outcome> {
    let url = plan.url.trim_end_matches('/');
    ensure!(cfg!(feature = "tls") || !url.starts_with("https:"), "{url} needs a harness built with the feature `tls`");
    let run = Run::new(Conditions {
        urls: vec![url.to_owned()],
        // A random suffix, because an earlier run with the same seed has used the same names.
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
    // Writes the output to a file instead of a pipe, because the command may leave a server running that keeps the pipe
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
