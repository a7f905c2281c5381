use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::ledger::SentMessage;
use super::{Attempt, Run};
use crate::client::{Client, Device};

/// Maximum time to wait for a response. Short, because a request that is stuck says nothing about the next request.
const ATTEMPT: Duration = Duration::from_secs(2);
/// The pause between two attempts to send and read a message.
const PAUSE: Duration = Duration::from_millis(20);

/// A client that measures how long the servers take to serve again after a fault.
pub(crate) struct Probe<'a> {
    run: &'a Run,
    /// For each replica, a copy of the client's device that sends its requests to this replica.
    devices: Vec<Device>,
    probes: usize,
    /// The `sent_at` of the last message that the client has sent.
    sent_at: String,
}

impl<'a> Probe<'a> {
    /// Creates the client, and registers its user.
    pub(crate) async fn start(run: &'a Run) -> anyhow::Result<Self> {
        let urls = &run.conditions.urls;
        let device =
            Client::new(urls.iter().map(String::as_str))?.register(&format!("probe{}", run.conditions.suffix)).await?;
        Ok(Self { run, devices: urls.iter().map(|url| device.at(url)).collect(), probes: 0, sent_at: String::new() })
    }

    /// Sends a message and reads a page through the first replica, again and again until both succeed. Then does the
    /// same through each other replica. Returns the time since `start`, or `None` if that exceeds `limit`.
    pub(crate) async fn wait_until_served(&mut self, start: Instant, limit: Duration) -> Option<Duration> {
        self.probes += 1;
        for replica in 0..self.devices.len() {
            while !(self.is_served(replica).await) {
                if start.elapsed() > limit {
                    return None;
                }
                sleep(PAUSE).await;
            }
        }
        Some(start.elapsed()).filter(|elapsed| *elapsed <= limit)
    }

    /// Returns the day in the `sent_at` of the last message that the client has sent. The day shows whether a fault has
    /// moved the clock.
    pub(crate) fn day(&self) -> String {
        self.sent_at.chars().take("2026-11-27".len()).collect()
    }

    async fn is_served(&mut self, replica: usize) -> bool {
        let (run, device) = (self.run, &self.devices[replica]);
        // The same message for all attempts, so that it is stored once.
        let contents = format!("{}-{}-{replica}", device.name(), self.probes);
        let recipient = &run.recipients[0];
        let request = device.send_request(&[recipient], &contents).header("idempotency-key", format!("\"{contents}\""));
        match run.attempt(request, ATTEMPT).await {
            Attempt::Answered(201, receipt) => {
                receipt["sent_at"].as_str().unwrap_or_default().clone_into(&mut self.sent_at);
            }
            // The senders report an answer that a server must not give.
            _ => return false,
        }
        let page = run.attempt(device.page_request(""), ATTEMPT).await;
        let served = matches!(page, Attempt::Answered(200, _));
        if served {
            run.ledger().accept(SentMessage {
                sender: device.name().to_owned(),
                contents,
                recipients: vec![recipient.clone()],
            });
            run.accepted.fetch_add(1, Ordering::Relaxed);
        }
        served
    }
}
