//! The delivery contract under kills: senders send, readers read and acknowledge, both with all that goes wrong on a
//! client's side, and meanwhile the servers are killed again and again. In the end all that was accepted has been
//! received, in order, and once.

mod audit;
mod dice;
mod ledger;
mod reader;
mod sender;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::future::{join_all, try_join_all};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use self::ledger::Outcome;

use self::dice::Dice;
use self::ledger::Ledger;
use self::reader::Reader;
use crate::client::Device;
use crate::{Backend, ServerProcess, TestDatabase};

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Which database.
    pub backend: Backend,
    /// How many servers on that one.
    pub replicas: u16,
    /// What decides whose connection is dropped when, and when which server is killed.
    pub seed: u64,
    /// How long messages are sent and servers killed.
    pub duration: Duration,
}

const SENDERS: usize = 8;
const RECIPIENTS: [&str; 2] = ["alice", "zoe"];
/// How long an answer may take before it is asked again.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long one message, or the reading of what is left, may take with all attempts.
const LIMIT: Duration = Duration::from_secs(30);
/// How long to leave off where a server is away.
const PAUSE: Duration = Duration::from_millis(5);

/// What senders and readers share.
struct Scene {
    urls: Vec<String>,
    recipients: Vec<String>,
    ledger: Mutex<Ledger>,
}

impl Scene {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Each step leaves it whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn url(&self, dice: &mut Dice) -> &str {
        dice.pick(&self.urls)
    }
}

/// Does it, on servers that are processes of `program`, the harness's binary.
///
/// # Errors
///
/// Where there are no servers, or it does not come to its end. What they did wrong is in the outcome.
pub async fn run(program: &Path, plan: &Plan) -> anyhow::Result<Outcome> {
    let Plan { backend, replicas, seed, duration } = *plan;
    ensure!(replicas > 0, "there has to be a server");
    ensure!(replicas == 1 || backend != Backend::Sqlite, "more than one server needs a database that they can share");
    let database = Arc::new(TestDatabase::create(backend).await?);
    let mut servers = try_join_all((0..replicas).map(|_| ServerProcess::start(program, database.clone(), 0))).await?;
    let urls: Vec<_> = servers.iter().map(ServerProcess::url).collect();
    let url = urls.first().context("there is no server")?;
    let readers = try_join_all(RECIPIENTS.map(|name| Device::register(url, name))).await?;
    let senders = (0..SENDERS).map(async |place| Device::register(url, &format!("sender-{place}")).await);
    let senders = try_join_all(senders).await?;

    let recipients = RECIPIENTS.map(str::to_owned).to_vec();
    let scene = Scene { urls, recipients, ledger: Mutex::default() };
    let end = Instant::now() + duration;
    let (finished, all_sent) = watch::channel(false);
    let mut dice = (0..).map(|player| Dice::new(seed, player));
    let mut dice = || dice.next().context("out of dice");
    let killing = kill(&scene, &mut servers, dice()?, end);
    let mut sending = Vec::new();
    for device in &senders {
        sending.push(sender::send(&scene, device, dice()?, end));
    }
    let mut reading = Vec::new();
    for device in &readers {
        reading.push(Reader::new(&scene, device, dice()?).read(all_sent.clone()));
    }
    let sending = async {
        let (killed, _) = tokio::join!(killing, join_all(sending));
        finished.send_replace(true);
        killed
    };
    let all = async { tokio::join!(sending, join_all(reading)).0 };
    timeout(duration + 3 * LIMIT, all).await.context("it comes to no end")??;
    audit::audit(&database).await?.into_iter().for_each(|wrong| scene.ledger().violate(wrong));
    let Scene { recipients, ledger, .. } = scene;
    Ok(ledger.into_inner().unwrap_or_else(PoisonError::into_inner).check(&recipients))
}

/// Kills servers at random moments, and starts them again.
async fn kill(scene: &Scene, servers: &mut [ServerProcess], mut dice: Dice, end: Instant) -> anyhow::Result<()> {
    loop {
        sleep(dice.micros(20_000..400_000)).await;
        if Instant::now() >= end {
            return Ok(());
        }
        let chosen = dice.within(0..servers.len() as u64) as usize;
        let all = dice.chance(25);
        let mut victims: Vec<_> = servers.iter_mut().enumerate().filter(|(place, _)| all || *place == chosen).collect();
        for (_, victim) in &mut victims {
            victim.kill().await?;
            scene.ledger().kills += 1;
        }
        sleep(dice.micros(0..100_000)).await;
        try_join_all(victims.into_iter().map(|(_, victim)| victim.restart())).await?;
    }
}
