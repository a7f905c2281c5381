//! The delivery contract while servers are killed.
//!
//! Senders send, readers read and acknowledge, and both drop requests and retry, as clients do. Meanwhile servers are killed
//! and started again. At the end every accepted message must have been received, in order and once.
//!
//! [`run`] starts servers of its own; [`run_on`] tests a server that is already running.

mod choices;
mod ledger;
mod own;
mod reader;
mod running;
mod sender;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::{join_all, try_join_all};
use tokio::sync::watch;
use tokio::time::timeout;

pub use self::ledger::Outcome;
pub use self::own::{Plan, run};
pub use self::running::{Length, RunningPlan, run_on};

use self::choices::Choices;
use self::ledger::Ledger;
use self::reader::Reader;
use crate::client::Client;

const SENDERS: usize = 8;
const RECIPIENTS: [&str; 2] = ["alice", "zoe"];
/// How long a client waits for a response before it retries.
const ATTEMPT: Duration = Duration::from_secs(5);

/// What differs between own servers and a running one.
#[derive(Debug)]
struct Conditions {
    /// The replicas.
    urls: Vec<String>,
    /// Appended to the usernames.
    suffix: String,
    /// The statuses that mean that no server is available.
    unavailable: &'static [u16],
    /// How long a send, or reading what is left, may take with all retries.
    limit: Duration,
    /// How long a client waits before it retries a failed request.
    pause: Duration,
}

/// What the tasks of a run share.
#[derive(Debug)]
struct Run {
    conditions: Conditions,
    /// The usernames of the recipients.
    recipients: Vec<String>,
    /// Cleared when the senders are to stop.
    sending: AtomicBool,
    /// The number of accepted sends.
    accepted: AtomicUsize,
    ledger: Mutex<Ledger>,
}

impl Run {
    fn new(conditions: Conditions) -> Self {
        let recipients = RECIPIENTS.iter().map(|name| format!("{name}{}", conditions.suffix)).collect();
        Self {
            conditions,
            recipients,
            sending: AtomicBool::new(true),
            accepted: AtomicUsize::new(0),
            ledger: Mutex::default(),
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // No panic can interrupt a change of the ledger.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of a random replica.
    fn url(&self, choices: &mut Choices) -> &str {
        let urls = &self.conditions.urls;
        &urls[choices.index(urls.len())]
    }

    fn is_unavailable(&self, status: u16) -> bool {
        self.conditions.unavailable.contains(&status)
    }

    fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    /// Registers users, and sends and reads until `killing` returns and everything is read. Fails if that takes longer than
    /// `limit`.
    async fn drive(
        &self,
        choices: &mut Choices,
        limit: Duration,
        killing: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let client = Client::new(self.conditions.urls.iter().map(String::as_str))?;
        let readers = try_join_all(self.recipients.iter().map(|name| client.register(name))).await?;
        let suffix = &self.conditions.suffix;
        let senders = (0..SENDERS).map(async |number| client.register(&format!("sender-{number}{suffix}")).await);
        let senders = try_join_all(senders).await?;

        let (finished, all_sent) = watch::channel(false);
        let sending: Vec<_> = senders.iter().map(|device| sender::send(self, device, choices.fork())).collect();
        let reading = readers.iter().map(|device| Reader::new(self, device, choices.fork()).read(all_sent.clone()));
        let reading: Vec<_> = reading.collect();
        let killing = async {
            let killed = killing.await;
            self.sending.store(false, Ordering::Relaxed);
            killed
        };
        let sending = async {
            let (killed, _) = tokio::join!(killing, join_all(sending));
            finished.send_replace(true);
            killed
        };
        let all = async { tokio::join!(sending, join_all(reading)).0 };
        timeout(limit, all).await.with_context(|| format!("the run did not end within {} seconds", limit.as_secs()))?
    }

    /// Compares what was received with what was accepted.
    fn into_outcome(self) -> Outcome {
        self.ledger.into_inner().unwrap_or_else(PoisonError::into_inner).check(&self.recipients)
    }
}
