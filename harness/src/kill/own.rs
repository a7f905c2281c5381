use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::disruption::Disruption;
use crate::deployment::Deployment;
use crate::load::{Choices, Conditions, Outcome, Run};
use crate::{Backend, TestDatabase};

/// Parameters of a kill run that starts its own servers.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The kind of database.
    pub backend: Backend,
    /// The number of servers on the database.
    pub replicas: u16,
    /// Whether the run also injects faults other than kills.
    pub faults: bool,
    /// The seed of all random choices, such as which requests are dropped, which servers are killed, and when.
    pub seed: u64,
    /// The time for which the run sends messages and kills servers.
    pub duration: Duration,
}

/// Maximum duration of a send with all its retries. Also the maximum duration of reading the messages that remain after
/// the last send.
const LIMIT: Duration = Duration::from_secs(30);
/// Replaces [`LIMIT`] if the run also injects faults other than kills. This limit is longer, because sends take long
/// while all packets from the database are dropped.
const FAULTS_LIMIT: Duration = Duration::from_secs(120);
/// The probability that the run injects another fault instead of a kill, in percent.
const FAULTS_PERCENT: u64 = 25;

/// Starts servers on a fresh database, sends and reads messages, and kills servers at random moments. The servers are
/// processes of `program`, the binary of the harness. At the end, stops the servers, sweeps, and checks the tables of
/// the database for inconsistencies.
///
/// # Errors
///
/// If the servers can't be started, or the run does not end in time. Violations of the delivery contract are no errors:
/// they are part of the outcome.
pub async fn run(program: &Path, plan: &Plan) -> anyhow::Result<Outcome> {
    let Plan { backend, replicas, faults, seed, duration } = *plan;
    ensure!(replicas > 0, "the number of replicas must be at least 1");
    ensure!(replicas == 1 || backend != Backend::Sqlite, "several replicas need a database that they can share");
    let mut deployment = if faults {
        let database = match backend {
            Backend::Sqlite => TestDatabase::create(backend).await?,
            Backend::Postgres => TestDatabase::create_on_own_postgres().await?,
        };
        Deployment::start_fallible(program, database, replicas, Vec::new()).await?
    } else {
        Deployment::start(program, TestDatabase::create(backend).await?, replicas).await?
    };

    let limit = if faults { FAULTS_LIMIT } else { LIMIT };
    let run = Run::new(Conditions {
        urls: deployment.urls(),
        suffix: String::new(),
        behind_proxy: false,
        late_recipient: false,
        limit,
        pause: Duration::from_millis(5),
    });
    let mut choices = Choices::new(seed);
    let disrupting = disrupt(&run, &mut deployment, choices.fork(), plan).boxed_local();
    run.drive(&mut choices, duration + 3 * limit, disrupting).await?;

    for violation in deployment.audit().await? {
        run.ledger().violate(violation);
    }
    Ok(run.into_outcome())
}

/// Kills servers at random moments and starts them again. If `plan.faults` is set, also injects faults other than
/// kills.
async fn disrupt(run: &Run, deployment: &mut Deployment, mut choices: Choices, plan: &Plan) -> anyhow::Result<()> {
    let end = Instant::now() + plan.duration;
    loop {
        sleep(choices.micros(20_000..400_000)).await;
        if Instant::now() >= end {
            return Ok(());
        }
        if plan.faults && choices.chance(FAULTS_PERCENT) {
            let disruption = Disruption::choose(plan.backend, &mut choices);
            disruption.inject(deployment, &mut choices).await?;
            *run.ledger().faults.entry(disruption.name()).or_default() += 1;
            continue;
        }
        let chosen = choices.index(deployment.servers.len());
        let all = choices.chance(25);
        let servers = deployment.servers.iter_mut().enumerate();
        let mut victims: Vec<_> = servers.filter(|(index, _)| all || *index == chosen).collect();
        for (_, victim) in &mut victims {
            victim.kill().await?;
            run.ledger().kills += 1;
        }
        sleep(choices.micros(0..100_000)).await;
        try_join_all(victims.into_iter().map(|(_, victim)| victim.restart())).await?;
    }
}
