use std::io;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::Message;

/// Maximum time for which [`Events::next_event`] waits for an event or for the end of the stream.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A stream of server-sent events.
#[derive(Debug)]
pub struct Events {
    response: Response,
    /// Received bytes that are not a complete event yet.
    pending: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// The incarnation of the mailbox, from the `id` of the event.
    pub(crate) incarnation: String,
    /// The sequence number in the `id` of the event.
    pub(crate) sequence: i64,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Events {
    /// Creates a stream that reads the events of a response.
    pub(crate) fn new(response: Response) -> Self {
        Self { response, pending: Vec::new() }
    }

    /// Sends a request for a stream. Fails unless the response is a stream of events.
    pub(crate) async fn open(request: RequestBuilder) -> anyhow::Result<Self> {
        let response = request.send().await?;
        let content_type = response.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_stream = content_type.is_some_and(|value| value.starts_with(b"text/event-stream"));
        ensure!(response.status() == 200 && is_stream, "the response is not a stream: {response:?}");
        Ok(Self::new(response))
    }

    /// Returns whether an error of [`Self::next`] means that the connection was lost. Any other error means that the
    /// server sent an invalid event.
    pub(crate) fn is_disconnect(error: &anyhow::Error) -> bool {
        error.is::<reqwest::Error>() || error.is::<io::Error>()
    }

    /// Waits for the next message. Returns `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// If the connection is lost, or an event is not a message.
    pub async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        let Some(event) = self.receive().await? else { return Ok(None) };
        ensure!(event.event == "message", "the event is not a message: {event:?}");
        let message = Message::parse(&event.data)?;
        ensure!(event.sequence == message.sequence, "the event has the id of another message: {event:?}");
        Ok(Some(message))
    }

    /// Waits for the next event, at most ten seconds. Returns `None` at the end of the stream.
    pub(crate) async fn next_event(&mut self) -> anyhow::Result<Option<Event>> {
        timeout(TIMEOUT, self.receive())
            .await
            .context("neither an event nor the end of the stream within 10 seconds")?
    }

    /// Waits for `count` events. Fails if the stream ends earlier.
    pub(crate) async fn take(&mut self, count: usize) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next_event().await?.context("the stream has ended")?);
        }
        Ok(events)
    }

    async fn receive(&mut self) -> anyhow::Result<Option<Event>> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.pending.drain(..end + 2).collect();
                if let Some(event) = Event::parse(std::str::from_utf8(&block)?)? {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.response.chunk().await.context("the stream was cut off")? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.is_empty() => return Ok(None),
                None => {
                    return Err(io::Error::from(io::ErrorKind::UnexpectedEof))
                        .context("the stream ended within an event");
                }
            }
        }
    }
}

impl Event {
    /// Parses a block of lines of an event stream. Returns `None` if the block contains only comments.
    fn parse(block: &str) -> anyhow::Result<Option<Self>> {
        let lines = || block.lines().filter(|line| !line.is_empty() && !line.starts_with(':'));
        if lines().next().is_none() {
            return Ok(None);
        }
        let field = |name: &str| {
            let values = lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let values: Vec<_> = values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
            ensure!(values.len() == 1, "the event has {} lines of {name}: {block:?}", values.len());
            Ok(values[0])
        };
        let (incarnation, sequence) =
            field("id")?.split_once('-').with_context(|| format!("the id has no incarnation: {block:?}"))?;
        Ok(Some(Self {
            incarnation: incarnation.to_owned(),
            sequence: sequence.parse().with_context(|| format!("the id has no number: {block:?}"))?,
            event: field("event")?.to_owned(),
            data: serde_json::from_str(field("data")?).with_context(|| format!("the data is not JSON: {block:?}"))?,
        }))
    }
}
