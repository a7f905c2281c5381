use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::sending;
use crate::bench::figure::Figure;
use crate::bench::reader::Reader;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// Maximum time that a long poll waits for a message, in seconds.
const WAIT: u64 = 1;
/// Maximum time for the readers to receive the remaining messages after the last send.
const REST: Duration = Duration::from_secs(60);

/// Measures sends. At the same time, an equal number of readers receive the messages by long poll and acknowledge them.
/// Fails unless every message is received.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let recipients = stage.accounts(u32::try_from(clients)?, 1).await?;
    let all_sent = Rc::new(Cell::new(false));
    let mut readers = JoinSet::new();
    for reader in stage.readers(&recipients).await? {
        readers.spawn_local(receive(reader, all_sent.clone()));
    }
    let senders = sending::clients(stage, clients, &recipients, 1).await?;
    let (measured, _) = tokio::select! {
        measured = sending::measure(stage, senders) => measured?,
        Some(ended) = readers.join_next() => {
            ended??;
            anyhow::bail!("a reader ended before the end of the measurement");
        }
    };
    all_sent.set(true);
    let mut deliveries = Vec::new();
    while let Some(ended) = timeout(REST, readers.join_next()).await.context("accepted messages did not arrive")? {
        deliveries.extend(ended??);
    }
    let (count, usage, peak) = (measured.operations, measured.usage, stage.target.peak_memory());
    let noun = "messages sent and received";
    let subject = Subject::new("mixed", "sends", noun, "from a send to its response");
    let sends = Sample::new(subject.clients(clients).storing(1), count, &usage, measured.latencies);
    let variant = format!("deliveries while {clients} clients send");
    let subject = Subject::new("mixed", variant, noun, "from a send to the arrival of its message");
    let deliveries = Sample::latencies(subject, deliveries);
    Ok(vec![sends.with(Figure::PeakMemory, peak), deliveries])
}

/// Receives and acknowledges messages until all messages are sent and received. Returns for each message the time from
/// its sending to its arrival, in microseconds.
async fn receive(mut reader: Reader, all_sent: Rc<Cell<bool>>) -> anyhow::Result<Vec<u32>> {
    while !all_sent.get() || reader.pending() > 0 {
        if reader.read(100, WAIT).await? > 0 {
            reader.acknowledge().await?;
        }
    }
    Ok(reader.take_latencies())
}
