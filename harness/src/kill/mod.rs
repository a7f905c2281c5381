//! Kill runs: tests of the delivery contract while servers are killed.
//!
//! Senders send messages. Readers read the messages and acknowledge them. Both drop some of their requests and retry,
//! as clients with a bad connection do. Meanwhile, servers are killed and started again. At the end, the recipients
//! must have received every accepted message once and in order.
//!
//! [`run`] starts its own servers. [`run_on`] tests a server that is already running.

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
/// Maximum time that a client waits for a response before it retries.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The settings that depend on the kind of kill run: on servers that the run starts, or on a server that is already
/// running.
#[derive(Debug)]
struct Conditions {
    /// The URLs of the replicas.
    urls: Vec<String>,
    /// A suffix of all usernames of the run.
    suffix: String,
    /// The response statuses that mean that no server is available, so that the client retries.
    unavailable: &'static [u16],
    /// Maximum duration of a send with all its retries. Also the maximum duration of reading the messages that remain
    /// after the last send.
    limit: Duration,
    /// The pause before a client retries a failed request.
    pause: Duration,
}

/// The data that the senders, the readers and the task that kills servers share.
#[derive(Debug)]
struct Run {
    conditions: Conditions,
    /// The usernames of the recipients.
    recipients: Vec<String>,
    /// Whether the senders should continue.
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
        // Ignores poisoning, because a panic under this lock can't leave the ledger inconsistent.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the URL of a random replica.
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

    /// Registers users, then lets them send and read messages while `killing` kills servers. Completes when `killing`
    /// is complete and the readers have read all messages. Fails if this takes longer than `limit`.
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

    /// Compares the received messages with the accepted messages.
    fn into_outcome(self) -> Outcome {
        self.ledger.into_inner().unwrap_or_else(PoisonError::into_inner).check(&self.recipients)
    }
}
