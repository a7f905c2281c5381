use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::choices::Choices;
use super::{ATTEMPT, Attempt, Run};
use crate::client::{Device, Events, MailboxPage, Message};

/// Reads a mailbox, by pages and by streams, and acknowledges what it has read. Drops some of its requests, and
/// sometimes forgets its cursor, as a client that crashes does.
pub(super) struct Reader<'a> {
    run: &'a Run,
    device: &'a Device,
    choices: Choices,
    /// The last sequence number that the reader has read. `None` if the reader has forgotten this number. The reader
    /// then continues after the last acknowledged number, which the server has stored.
    cursor: Option<i64>,
    /// The incarnation of the mailbox, from the first page. The reader sends it with each request. The incarnation must
    /// never change.
    incarnation: Option<String>,
    /// The highest sequence number that the reader has tried to acknowledge. The server may not have received the
    /// request.
    requested: i64,
    /// The highest sequence number that the server has confirmed as acknowledged.
    confirmed: i64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(run: &'a Run, device: &'a Device, choices: Choices) -> Self {
        Self { run, device, choices, cursor: None, incarnation: None, requested: 0, confirmed: 0 }
    }

    /// Reads the mailbox while messages are sent, and afterwards until the mailbox is empty. If `late`, starts to read
    /// only when all messages are sent.
    pub(super) async fn read(mut self, mut all_sent: watch::Receiver<bool>, late: bool) {
        if late {
            // Fails if the run was cancelled.
            let _ = all_sent.wait_for(|sent| *sent).await;
        }
        while !*all_sent.borrow() {
            if self.choices.chance(5) {
                self.cursor = None;
            }
            if self.choices.chance(40) {
                self.stream().await;
            } else {
                self.poll("?wait=1&").await;
            }
            if self.choices.chance(80) {
                self.acknowledge().await;
            }
        }
        let (start, limit) = (Instant::now(), self.run.conditions.limit);
        // Reads on after the last acknowledged number, so that the server returns every unacknowledged message again.
        self.cursor = None;
        while self.poll("?").await != Some(false) {
            if start.elapsed() > limit {
                self.violate(format!("not all messages could be read within {} seconds", limit.as_secs()));
                return;
            }
        }
    }

    /// Reads a page. Returns whether the page has messages, or `None` if the reader received no page.
    async fn poll(&mut self, query: &str) -> Option<bool> {
        let limit = self.choices.within(1..60);
        let cursor = self.cursor_parameters();
        let request =
            self.device.at(self.run.url(&mut self.choices)).page_request(&format!("{query}limit={limit}&{cursor}"));
        match self.run.attempt(request, self.timeout()).await {
            Attempt::Answered(200, page) => match MailboxPage::parse(&page) {
                Ok(page) => {
                    let some = !page.messages.is_empty();
                    self.take_page(page);
                    return Some(some);
                }
                Err(error) => self.violate(format!("{error:#}")),
            },
            Attempt::Answered(status, problem) => {
                self.violate(format!("a page was refused with {status}: {problem}"));
            }
            Attempt::Unavailable | Attempt::Dropped => sleep(self.run.conditions.pause).await,
        }
        None
    }

    /// Returns the query parameters for the next request: the cursor and the incarnation, if they are known.
    fn cursor_parameters(&self) -> String {
        let after = self.cursor.map(|cursor| format!("after={cursor}"));
        let incarnation = self.incarnation.as_ref().map(|incarnation| format!("incarnation={incarnation}"));
        after.into_iter().chain(incarnation).collect::<Vec<_>>().join("&")
    }

    fn take_page(&mut self, page: MailboxPage) {
        if self.incarnation.get_or_insert_with(|| page.incarnation.clone()) != &page.incarnation {
            self.violate(format!("a page has the incarnation {}, after {:?}", page.incarnation, self.incarnation));
        }
        if page.gaps > 0 || !(self.confirmed..=self.requested).contains(&page.acknowledged) {
            let MailboxPage { gaps, acknowledged, up_to, .. } = page;
            let (confirmed, requested) = (self.confirmed, self.requested);
            self.violate(format!(
                "a page up to {up_to} reports {gaps} gaps and {acknowledged} as acknowledged, expected no gaps and a number from \
                 {confirmed} to {requested}"
            ));
        }
        for message in page.messages {
            self.take(message);
        }
    }

    /// Opens the stream and reads some messages.
    async fn stream(&mut self) {
        let query = format!("?{}", self.cursor_parameters());
        let request = self.device.at(self.run.url(&mut self.choices)).stream_request(&query);
        let response = match self.run.open(request, self.timeout()).await {
            Some(response) if response.status() == 200 => response,
            Some(response) => return self.violate(format!("a stream was refused: {response:?}")),
            None => return sleep(self.run.conditions.pause).await,
        };
        let mut events = Events::new(response);
        for _ in 0..self.choices.within(1..60) {
            match timeout(Duration::from_secs(1), events.next()).await {
                Ok(Ok(Some(message))) => self.take(message),
                Ok(Err(error)) if !Events::is_disconnect(&error) => return self.violate(format!("{error:#}")),
                // The stream was cut off, or no message arrived.
                _ => return,
            }
        }
    }

    /// Acknowledges the messages that the reader has read: usually all of them, sometimes fewer.
    async fn acknowledge(&mut self) {
        let Some(cursor) = self.cursor else { return };
        let up_to = if self.choices.chance(80) { cursor } else { cursor - self.choices.within(0..10).cast_signed() };
        let up_to = up_to.max(0);
        self.requested = self.requested.max(up_to);
        let device = self.device.at(self.run.url(&mut self.choices));
        let request = device.acknowledge_request(up_to, self.incarnation.as_deref());
        match self.run.attempt(request, self.timeout()).await {
            Attempt::Answered(200, response) => match response["acknowledged"].as_i64() {
                Some(acknowledged) if (self.confirmed.max(up_to)..=self.requested).contains(&acknowledged) => {
                    self.confirmed = acknowledged;
                }
                _ => self.violate(format!("acknowledging {up_to} returned {response}")),
            },
            Attempt::Answered(status, problem) => {
                self.violate(format!("acknowledging {up_to} was refused with {status}: {problem}"));
            }
            Attempt::Unavailable | Attempt::Dropped => {}
        }
    }

    /// Records a message. Also records a violation unless its sequence number is one higher than that of the previous
    /// message. Numbers that the reader has tried to acknowledge may be skipped, because the server may have deleted
    /// their messages.
    fn take(&mut self, message: Message) {
        let last = self.cursor.unwrap_or(self.confirmed);
        if message.sequence <= last || message.sequence > last.max(self.requested) + 1 {
            self.violate(format!(
                "the message {} followed {last}, but at most {} is acknowledged",
                message.sequence, self.requested
            ));
        }
        self.cursor = Some(message.sequence);
        self.run.ledger().receive(self.device.name(), message);
    }

    /// Returns the maximum time to wait for the next response. Sometimes this time is so short that the reader drops
    /// the request.
    fn timeout(&mut self) -> Duration {
        if self.choices.chance(15) { self.choices.micros(0..8_000) } else { ATTEMPT }
    }

    fn violate(&self, violation: String) {
        self.run.ledger().violate(format!("{}: {violation}", self.device.name()));
    }
}
