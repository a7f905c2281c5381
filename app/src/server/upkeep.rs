//! The background task of a server, which checks the clock and deletes expired data periodically.

use std::sync::Arc;
use std::time::{Duration, Instant};

use woosh_domain::ports::PortError;
use woosh_domain::timekeeping::{CONFIRMATION, ClockChange};
use woosh_domain::use_cases::Sweep;

use crate::logging::causes;
use crate::services::Services;

/// Interval between two rounds of the background task. A round stores the time in the database, checks the clock, and
/// deletes expired data. When a server starts, it compares its clock with the stored time.
const INTERVAL: Duration = Duration::from_secs(10);

/// Runs one round after another, with a pause of [`INTERVAL`], until the task is aborted. If a step of a round fails,
/// the next round tries it again.
pub(super) async fn run(services: Arc<Services>) {
    loop {
        // Stores the time before the first pause, so that the next start knows the time even if this server is killed
        // soon.
        if let Err(error) = services.keep_time.store_time().await {
            tracing::warn!(%error, causes = causes(&error), "can't store the time");
        }
        tokio::time::sleep(INTERVAL).await;
        match services.keep_time.execute().await {
            Ok(change) => log(change),
            Err(error) => tracing::warn!(%error, causes = causes(&error), "can't check the clock"),
        }
        for cleaned in [sweep(&services.sweep).await, services.forget_keys.execute().await] {
            if let Err(error) = cleaned {
                tracing::warn!(%error, causes = causes(&error), "cleanup failed");
            }
        }
    }
}

/// Deletes all expired data. Pauses after each step for as long as the step took, so that requests have the database for
/// at least half of the time.
async fn sweep(sweep: &Sweep) -> Result<(), PortError> {
    loop {
        let start = Instant::now();
        if !sweep.step().await? {
            return Ok(());
        }
        tokio::time::sleep(start.elapsed()).await;
    }
}

/// Logs that the clock is in doubt from now on, or no longer in doubt, and what the operator should do. Logs nothing if
/// `change` is `None`.
pub(super) fn log(change: Option<ClockChange>) {
    let minutes = CONFIRMATION.as_secs() / 60;
    match change {
        None => {}
        Some(ClockChange::Doubted { ahead_seconds }) => {
            let side = if ahead_seconds < 0 { "behind" } else { "ahead of" };
            tracing::warn!(
                "the clock is {} seconds {side} the expected time, so no message expires for now. If the clock is wrong, \
                 correct it within {minutes} minutes (on Postgres, the clock of the database's machine): messages then \
                 expire again at once. If the clock is right, do nothing: messages expire again in {minutes} minutes",
                ahead_seconds.unsigned_abs(),
            );
        }
        Some(ClockChange::Recovered) => {
            tracing::warn!("the clock shows the expected time again, so messages expire again. You need to do nothing");
        }
        Some(ClockChange::Confirmed) => {
            tracing::warn!(
                "the clock has not jumped for {minutes} minutes, so the server trusts it, and messages expire again. If the \
                 clock is still wrong, correct it now"
            );
        }
    }
}
