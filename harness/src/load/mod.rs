//! Senders and readers that retry as clients do, and a ledger of what was accepted and received. Kill runs and runs
//! under faults use them.
//!
//! Senders send messages. Readers read and acknowledge them. Both drop requests and retry. At the end, the recipients
//! must have received every accepted message, in order and once.

mod attempt;
mod choices;
mod ledger;
mod probe;
mod reader;
mod sender;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all, try_join_all};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub(crate) use self::choices::Choices;
pub use self::ledger::Outcome;
pub(crate) use self::probe::Probe;

use self::attempt::Attempt;
use self::ledger::Ledger;
use self::reader::Reader;
use crate::client::Client;

const SENDERS: usize = 8;
const RECIPIENTS: [&str; 2] = ["alice", "zoe"];
/// The recipient that reads nothing until all messages are sent.
const LATE_RECIPIENT: &str = "mia";
/// Maximum time that a client waits for a response before it retries.
const ATTEMPT: Duration = Duration::from_secs(5);

/// The parameters of a run in which servers are killed or other faults are injected.
#[derive(Debug)]
pub(crate) struct Conditions {
    /// The URLs of the replicas.
    pub(crate) urls: Vec<String>,
    /// A suffix of all usernames of the run, which makes them unique on a server that was already running.
    /// Empty for fresh servers.
    pub(crate) suffix: String,
    /// Whether a proxy is in front of the servers. If no server is available, the proxy may answer 502, 503 or 504,
    /// also without `Retry-After`.
    pub(crate) behind_proxy: bool,
    /// Whether there is another recipient, which reads nothing until all messages are sent. Until then, its mailbox
    /// must have room for all messages to it.
    pub(crate) late_recipient: bool,
    /// Maximum duration of a send with all its retries. Also the maximum duration of reading the messages that remain
    /// after the last send.
    pub(crate) limit: Duration,
    /// The pause before a client retries a failed request.
    pub(crate) pause: Duration,
}

/// The data that the tasks of a run share.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) conditions: Conditions,
    /// The usernames of the recipients.
    recipients: Vec<String>,
    /// Whether the senders should continue.
    sending: AtomicBool,
    accepted: AtomicUsize,
    ledger: Mutex<Ledger>,
}

impl Run {
    pub(crate) fn new(conditions: Conditions) -> Self {
        let late = conditions.late_recipient.then_some(LATE_RECIPIENT);
        let recipients = RECIPIENTS.into_iter().chain(late);
        let recipients = recipients.map(|name| format!("{name}{}", conditions.suffix)).collect();
        Self {
            conditions,
            recipients,
            sending: AtomicBool::new(true),
            accepted: AtomicUsize::new(0),
            ledger: Mutex::default(),
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // Ignores poisoning, because a panic under this lock can't leave the ledger inconsistent.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the URL of a random replica.
    fn url(&self, choices: &mut Choices) -> &str {
        let urls = &self.conditions.urls;
        &urls[choices.index(urls.len())]
    }

    fn is_sending(&self) -> bool {
        self.sending.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Waits until the servers have accepted `count` more sends. Fails if this takes longer than `limit`.
    pub(crate) async fn wait_for_sends(&self, count: usize, limit: Duration) -> anyhow::Result<()> {
        let before = self.accepted();
        let waiting = async {
            while self.accepted() - before < count {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(limit, waiting).await.with_context(|| {
            let sends = self.accepted() - before;
            format!("only {sends} sends were accepted within {} seconds", limit.as_secs())
        })
    }

    /// Registers users, then sends and reads messages while the future `disrupting` kills servers or injects other
    /// faults. When `disrupting` has completed, reads the remaining messages. Fails if `disrupting` fails, or if all of
    /// this takes longer than `limit`.
    pub(crate) async fn drive(
        &self,
        choices: &mut Choices,
        limit: Duration,
        disrupting: LocalBoxFuture<'_, anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let client = Client::new(self.conditions.urls.iter().map(String::as_str))?;
        let readers = try_join_all(self.recipients.iter().map(|name| client.register(name))).await?;
        let suffix = &self.conditions.suffix;
        let senders = (0..SENDERS).map(async |number| client.register(&format!("sender-{number}{suffix}")).await);
        let senders = try_join_all(senders).await?;

        let (finished, all_sent) = watch::channel(false);
        let sending: Vec<_> = senders.iter().map(|device| sender::send(self, device, choices.fork())).collect();
        let reading = readers.iter().enumerate().map(|(index, device)| {
            let reader = Reader::new(self, device, choices.fork());
            reader.read(all_sent.clone(), index >= RECIPIENTS.len())
        });
        let reading: Vec<_> = reading.collect();
        let disrupting = async {
            disrupting.await?;
            self.sending.store(false, Ordering::Relaxed);
            anyhow::Ok(())
        };
        let sending = async {
            tokio::try_join!(disrupting, join_all(sending).map(Ok))?;
            finished.send_replace(true);
            anyhow::Ok(())
        };
        let all = Box::pin(async { tokio::try_join!(sending, join_all(reading).map(Ok)).map(drop) });
        timeout(limit, all).await.with_context(|| format!("the run did not end within {} seconds", limit.as_secs()))?
    }

    /// Compares the received messages with the accepted messages.
    pub(crate) fn into_outcome(self) -> Outcome {
        self.ledger.into_inner().unwrap_or_else(PoisonError::into_inner).check(&self.recipients)
    }
}
