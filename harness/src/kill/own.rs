use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use tokio::time::sleep;
use woosh_server::database::Database;

use super::choices::Choices;
use super::ledger::Outcome;
use super::{Conditions, Run};
use crate::{Backend, ServerProcess, TestDatabase};

/// Parameters of a kill run that starts its own servers.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The kind of database.
    pub backend: Backend,
    /// The number of servers on the database.
    pub replicas: u16,
    /// The seed of all random choices: which requests are dropped, and when which servers are killed.
    pub seed: u64,
    /// The time for which the run sends messages and kills servers.
    pub duration: Duration,
}

/// Maximum duration of a send with all its retries. Also the maximum duration of reading the messages that remain after
/// the last send.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts servers on a fresh database, sends and reads messages, and kills servers at random moments. The servers are
/// processes of `program`, the binary of the harness. At the end, stops the servers, sweeps, and checks the tables of
/// the database for inconsistencies.
///
/// # Errors
///
/// If the servers can't be started, or the run does not end in time. Violations of the delivery contract are no errors:
/// they are part of the outcome.
pub async fn run(program: &Path, plan: &Plan) -> anyhow::Result<Outcome> {
    let Plan { backend, replicas, seed, duration } = *plan;
    ensure!(replicas > 0, "the number of replicas must be at least 1");
    ensure!(replicas == 1 || backend != Backend::Sqlite, "several replicas need a database that they can share");
    let database = Arc::new(TestDatabase::create(backend).await?);
    let mut servers = try_join_all((0..replicas).map(|_| ServerProcess::start(program, database.clone(), 0))).await?;

    let run = Run::new(Conditions {
        urls: servers.iter().map(ServerProcess::url).collect(),
        suffix: String::new(),
        unavailable: &[503],
        limit: LIMIT,
        pause: Duration::from_millis(5),
    });
    let mut choices = Choices::new(seed);
    let killing = kill(&run, &mut servers, choices.fork(), duration);
    run.drive(&mut choices, duration + 3 * LIMIT, killing).await?;

    for server in &mut servers {
        server.kill().await?;
    }
    let tables = Database::open(database.url(), Duration::ZERO).await?;
    let violations = tables.sweep_and_audit(None).await;
    tables.close().await;
    violations?.into_iter().for_each(|violation| run.ledger().violate(violation));
    Ok(run.into_outcome())
}

/// Kills servers at random moments and starts them again.
async fn kill(
    run: &Run,
    servers: &mut [ServerProcess],
    mut choices: Choices,
    duration: Duration,
) -> anyhow::Result<()> {
    let end = Instant::now() + duration;
    loop {
        sleep(choices.micros(20_000..400_000)).await;
        if Instant::now() >= end {
            return Ok(());
        }
        let chosen = choices.index(servers.len());
        let all = choices.chance(25);
        let mut victims: Vec<_> = servers.iter_mut().enumerate().filter(|(index, _)| all || *index == chosen).collect();
        for (_, victim) in &mut victims {
            victim.kill().await?;
            run.ledger().kills += 1;
        }
        sleep(choices.micros(0..100_000)).await;
        try_join_all(victims.into_iter().map(|(_, victim)| victim.restart())).await?;
    }
}
