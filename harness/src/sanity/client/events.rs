use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use tokio::time::timeout;

/// How long an event, or the end of a stream, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A stream of server-sent events.
#[derive(Debug)]
pub(crate) struct Events {
    response: Response,
    /// What has arrived of the next event.
    pending: Vec<u8>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) event: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn open(request: RequestBuilder) -> anyhow::Result<Self> {
        let response = request.send().await?;
        let content_type = response.headers().get(CONTENT_TYPE).map(|value| value.as_bytes());
        let is_stream = content_type.is_some_and(|value| value.starts_with(b"text/event-stream"));
        ensure!(response.status() == 200 && is_stream, "no stream was opened: {response:?}");
        Ok(Self { response, pending: Vec::new() })
    }

    /// The next event; none where the stream has ended.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Option<Event>> {
        timeout(PATIENCE, self.receive()).await.context("the stream gave nothing more")?
    }

    /// As many events as there have to be.
    pub(crate) async fn take(&mut self, count: usize) -> anyhow::Result<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await?.context("the stream has ended")?);
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
            match self.response.chunk().await.context("the stream broke off")? {
                Some(chunk) => self.pending.extend_from_slice(&chunk),
                None if self.pending.is_empty() => return Ok(None),
                None => bail!("the stream ended within an event"),
            }
        }
    }
}

impl Event {
    /// Reads a block of lines; one of comments alone is no event.
    fn parse(block: &str) -> anyhow::Result<Option<Self>> {
        let lines = || block.lines().filter(|line| !line.is_empty() && !line.starts_with(':'));
        if lines().next().is_none() {
            return Ok(None);
        }
        let field = |name: &str| {
            let values = lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let values: Vec<_> = values.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect();
            ensure!(values.len() == 1, "an event has {} lines of {name}: {block:?}", values.len());
            Ok(values[0])
        };
        Ok(Some(Self {
            id: field("id")?.parse().with_context(|| format!("the id is no number: {block:?}"))?,
            event: field("event")?.to_owned(),
            data: serde_json::from_str(field("data")?).with_context(|| format!("the data is no JSON: {block:?}"))?,
        }))
    }
}
