use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;

use crate::client::{ClassicUser, Client};
use crate::sanity::ensure_eq;

pub(super) async fn three_hundred_messages_arrive_in_order(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let mut sent = Vec::new();
    for count in 0..300 {
        sent.push(
            alice.write(&bob, &format!("message {count}")).await?["id"].as_i64().context("the message has no id")?,
        );
    }
    let mut reader = Reader::new(bob);
    while !reader.round().await? {}
    ensure_eq!(reader.order, sent);
    reader.ensure_old_arrived_once()
}

pub(super) async fn no_message_is_lost_during_concurrent_sends(client: Client) -> anyhow::Result<()> {
    const SENDERS: usize = 8;
    const MESSAGES: usize = 50;
    let bob = client.user("bob").await?;
    let senders =
        try_join_all((0..SENDERS).map(|sender| client.user(["a", "b", "c", "d", "e", "f", "g", "h"][sender])));
    let senders = senders.await?;
    let sending = try_join_all(senders.iter().map(async |sender| {
        let mut sent = Vec::new();
        for count in 0..MESSAGES {
            sent.push(
                sender.write(&bob, &format!("message {count}")).await?["id"]
                    .as_i64()
                    .context("the message has no id")?,
            );
            // Spreads the sends over some seconds, so that polls and deletions happen between them.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        anyhow::Ok(sent)
    }));
    let mut reader = Reader::new(bob.clone());
    let reading = async {
        while reader.order.len() < SENDERS * MESSAGES || !reader.round().await? {
            reader.round().await?;
        }
        anyhow::Ok(())
    };
    let (sent, ()) = tokio::try_join!(sending, reading)?;
    let mut all: Vec<i64> = sent.concat();
    all.sort_unstable();
    let mut read = reader.order.clone();
    read.sort_unstable();
    ensure_eq!(read, all);
    for (sender, sent) in sent.iter().enumerate() {
        let of_sender: Vec<_> = reader.order.iter().filter(|id| sent.contains(id)).collect();
        ensure!(of_sender.iter().zip(sent).all(|(read, sent)| *read == sent), "sender {sender} is out of order");
    }
    reader.ensure_old_arrived_once()
}

/// A reader that does what a classic client does: it polls, then deletes the messages that were sent before the
/// `query_time` of the response.
struct Reader {
    user: ClassicUser,
    /// The ids of the received messages, in the order of their first arrival.
    order: Vec<i64>,
    /// For each message, the number of polls that returned the message and whose `query_time` was after its `sent_at`.
    /// The reader deletes the message after the first such poll, so the number must stay 1.
    old_arrivals: BTreeMap<i64, u32>,
    rounds: u32,
}

impl Reader {
    fn new(user: ClassicUser) -> Self {
        Self { user, order: Vec::new(), old_arrivals: BTreeMap::new(), rounds: 0 }
    }

    /// Polls and deletes once. Returns whether the mailbox was empty.
    async fn round(&mut self) -> anyhow::Result<bool> {
        self.rounds += 1;
        if self.rounds > 2000 {
            bail!("the mailbox is not empty after {} rounds", self.rounds);
        }
        let (messages, query_time) = self.user.poll().await?;
        let sent_at = |message: &Value| message["sent_at"].as_i64().unwrap_or_default();
        let one_second = messages.iter().all(|message| sent_at(message) == sent_at(&messages[0]));
        ensure!(messages.len() <= 100 || one_second, "a poll returned {} messages", messages.len());
        ensure!(messages.is_sorted_by_key(sent_at), "a poll is not in order");
        for message in &messages {
            let id = message["id"].as_i64().context("the message has no id")?;
            if !self.order.contains(&id) {
                self.order.push(id);
            }
            if sent_at(message) < query_time {
                *self.old_arrivals.entry(id).or_default() += 1;
            }
        }
        let due = messages.iter().filter(|message| sent_at(message) < query_time).count();
        ensure_eq!(self.user.delete_until(query_time).await?, due as u64);
        // Waits, because messages of the current second can be deleted only in the next second.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Ok(messages.is_empty())
    }

    fn ensure_old_arrived_once(&self) -> anyhow::Result<()> {
        let twice: Vec<_> = self.old_arrivals.iter().filter(|(_, count)| **count != 1).collect();
        ensure!(twice.is_empty(), "messages arrived again after they were deleted: {twice:?}");
        ensure_eq!(self.old_arrivals.len(), self.order.len());
        Ok(())
    }
}
