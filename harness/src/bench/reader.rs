use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::accounts::Device;
use super::contents::Contents;
use super::http::{Connection, Endpoint, Events, excerpt};
use super::ledger::Ledger;

/// Maximum time for a response, in addition to the time that a long poll waits for a message.
const LIMIT: Duration = Duration::from_secs(60);

/// A client that reads and acknowledges a mailbox, and checks that it receives exactly what was sent.
pub(super) struct Reader {
    endpoint: Rc<Endpoint>,
    connection: Connection,
    token: String,
    /// The index of the mailbox in the [`Ledger`], which records the messages that were sent to each mailbox.
    mailbox: usize,
    /// The sequence number of the last received message.
    after: i64,
    contents: Rc<Contents>,
    ledger: Rc<RefCell<Ledger>>,
    /// For each message since the last call of [`Self::take_latencies`], the time from its sending to its arrival, in
    /// microseconds.
    latencies: Vec<u32>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    messages: Vec<Message<'a>>,
    gaps: Vec<serde::de::IgnoredAny>,
    up_to: i64,
}

#[derive(Deserialize)]
struct Message<'a> {
    sequence: i64,
    #[serde(borrow)]
    contents: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Acknowledged {
    acknowledged: i64,
}

impl Reader {
    pub(super) async fn connect(
        endpoint: &Rc<Endpoint>,
        device: &Device,
        contents: Rc<Contents>,
        ledger: Rc<RefCell<Ledger>>,
    ) -> anyhow::Result<Self> {
        let (connection, endpoint) = (Connection::open(endpoint).await?, endpoint.clone());
        let (token, mailbox) = (device.token.clone(), device.mailbox);
        Ok(Self { endpoint, connection, token, mailbox, after: 0, contents, ledger, latencies: Vec::new() })
    }

    /// Reads a page of at most `limit` messages, and checks the messages. If there is no message, waits for one, at
    /// most `wait` seconds. Returns the number of messages.
    pub(super) async fn read(&mut self, limit: usize, wait: u64) -> anyhow::Result<usize> {
        let path = format!("/v1/mailbox?after={}&limit={limit}&wait={wait}", self.after);
        let request = self.endpoint.get(&path, &self.token);
        let deadline = LIMIT + Duration::from_secs(wait);
        let response = self.connection.exchange(request.as_bytes(), deadline).await.context("GET /v1/mailbox")?;
        let body = response.expect(200, "GET /v1/mailbox")?;
        let page: Page<'_> = serde_json::from_slice(body)
            .with_context(|| format!("GET /v1/mailbox returned no page: {}", excerpt(body)))?;
        ensure!(page.gaps.is_empty(), "the mailbox has gaps: {}", excerpt(body));
        let mut check = Check { after: &mut self.after, mailbox: self.mailbox, latencies: &mut self.latencies };
        for message in &page.messages {
            check.take(message, &self.contents, &self.ledger)?;
        }
        ensure!(
            page.up_to == self.after,
            "the last message of a page is {}, but its up_to is {}",
            self.after,
            page.up_to
        );
        Ok(page.messages.len())
    }

    /// Acknowledges all received messages.
    pub(super) async fn acknowledge(&mut self) -> anyhow::Result<()> {
        let head = self.endpoint.post("/v1/mailbox/ack", &self.token);
        let body = format!("{{\"up_to\":{}}}", self.after);
        let request = format!("{head}{}\r\n\r\n{body}", body.len());
        let response = self.connection.exchange(request.as_bytes(), LIMIT).await.context("POST /v1/mailbox/ack")?;
        let body = response.expect(200, "POST /v1/mailbox/ack")?;
        let reply: Acknowledged = serde_json::from_slice(body)
            .with_context(|| format!("POST /v1/mailbox/ack returned an unexpected body: {}", excerpt(body)))?;
        ensure!(reply.acknowledged == self.after, "acknowledging {} returned {}", self.after, reply.acknowledged);
        Ok(())
    }

    /// Fails if a message that was sent to the mailbox has not been received.
    pub(super) fn ensure_complete(&self) -> anyhow::Result<()> {
        let missing = self.pending();
        ensure!(missing == 0, "{missing} accepted messages are missing from a mailbox");
        Ok(())
    }

    /// Opens an event stream that starts after the last received message.
    pub(super) async fn open_stream(&mut self) -> anyhow::Result<Events> {
        let request = self.endpoint.get(&format!("/v1/mailbox/stream?after={}", self.after), &self.token);
        let connection = Connection::open(&self.endpoint).await?;
        Events::open(connection, request.as_bytes(), LIMIT).await
    }

    /// Waits for the next message of the stream, and checks the message.
    pub(super) async fn next(&mut self, stream: &mut Events) -> anyhow::Result<()> {
        let data = stream.next(LIMIT).await.context("GET /v1/mailbox/stream")?;
        let message: Message<'_> = serde_json::from_str(&data)
            .with_context(|| format!("the stream sent an event that is not a message: {}", excerpt(data.as_bytes())))?;
        let mut check = Check { after: &mut self.after, mailbox: self.mailbox, latencies: &mut self.latencies };
        check.take(&message, &self.contents, &self.ledger)
    }

    /// Returns the number of messages that were sent to the mailbox and not yet received.
    pub(super) fn pending(&self) -> usize {
        self.ledger.borrow().pending(self.mailbox)
    }

    /// Returns for each message received since the last call the time from its sending to its arrival, in microseconds.
    pub(super) fn take_latencies(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.latencies)
    }
}

/// Checks that received messages have consecutive sequence numbers and expected contents.
struct Check<'a> {
    after: &'a mut i64,
    mailbox: usize,
    latencies: &'a mut Vec<u32>,
}

impl Check<'_> {
    fn take(&mut self, message: &Message<'_>, contents: &Contents, ledger: &RefCell<Ledger>) -> anyhow::Result<()> {
        let expected = *self.after + 1;
        ensure!(message.sequence == expected, "message {} was received instead of {expected}", message.sequence);
        let (sender, number) = contents.check(&message.contents)?;
        let elapsed = ledger.borrow_mut().receive(self.mailbox, sender, number)?;
        self.latencies.push(u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX));
        *self.after = expected;
        Ok(())
    }
}
