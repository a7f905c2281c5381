use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

use super::body::Decoder;
use super::connection::{Connection, excerpt};

/// A stream of server-sent events.
#[derive(Debug)]
pub(in crate::bench) struct Events {
    connection: Connection,
    decoder: Decoder,
}

impl Events {
    /// Sends a request for an event stream, and waits for the status and the headers of the response.
    pub(in crate::bench) async fn open(
        mut connection: Connection,
        request: &[u8],
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let head = timeout(limit, connection.request(request))
            .await
            .with_context(|| format!("no stream within {limit:.0?}"))??;
        ensure!(head.status == 200, "the stream of the mailbox was refused with {}", head.status);
        Ok(Self { connection, decoder: head.body })
    }

    /// Waits for the next event, at most `limit`, and returns the data of the event. Fails if the event is not a
    /// message.
    pub(in crate::bench) async fn next(&mut self, limit: Duration) -> anyhow::Result<String> {
        timeout(limit, self.receive()).await.with_context(|| format!("no event within {limit:.0?}"))?
    }

    async fn receive(&mut self) -> anyhow::Result<String> {
        loop {
            while let Some(end) = self.connection.body().windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.connection.body().drain(..end + 2).collect();
                let block = std::str::from_utf8(&block).context("the stream is not UTF-8")?;
                if block.starts_with(':') {
                    continue;
                }
                let message = block.lines().any(|line| line == "event: message");
                let data = block.lines().find_map(|line| line.strip_prefix("data: ")).filter(|_| message);
                return data
                    .map(str::to_owned)
                    .with_context(|| format!("not a message: {}", excerpt(block.as_bytes())));
            }
            ensure!(self.connection.decode(&mut self.decoder)?, "the server ended the stream");
            if !self.connection.body().windows(2).any(|pair| pair == b"\n\n") {
                self.connection.read().await?;
            }
        }
    }
}
