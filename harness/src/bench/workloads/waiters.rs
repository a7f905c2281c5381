use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::receive::fill;
use crate::bench::figure::Figure;
use crate::bench::file_handles;
use crate::bench::measure::Meter;
use crate::bench::reader::Reader;
use crate::bench::sample::{Sample, Subject};
use crate::bench::stage::Stage;

/// How long a poll waits, in seconds: the most that the API permits.
const WAIT: u64 = 60;
/// File handles for everything but waiting connections.
const OTHER_HANDLES: u64 = 512;
/// How long the server may take until all readers wait, and until all messages are received.
const LIMIT: Duration = Duration::from_secs(120);
/// How long to wait for a server whose CPU is unknown.
const SETTLE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(250);

/// What the waiting readers have received.
#[derive(Default)]
struct Received {
    count: Cell<u64>,
    /// In microseconds since the send.
    latencies: RefCell<Vec<u32>>,
}

/// Many readers wait by long poll, and each is sent one message, after which it waits again.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let count = stage.args.waiters;
    file_handles::ensure(u64::from(count) + OTHER_HANDLES).context("the workload waiters")?;
    let recipients = stage.accounts(count, 1).await?;
    let mut senders = stage.senders(clients).await?;
    settle(stage).await?;
    let before = stage.target.memory_kib();
    stage.target.reset_peak_memory();

    let received = Rc::new(Received::default());
    let mut waiting = JoinSet::new();
    for reader in stage.readers(&recipients).await? {
        waiting.spawn_local(wait(reader, received.clone()));
    }
    ensure_running(&mut waiting, settle(stage)).await?;
    let growth = before.zip(stage.target.memory_kib()).map(|(before, after)| (after - before) / f64::from(count));

    let meter = Meter::start(&stage.target);
    let sending = async {
        fill(&mut senders, recipients.chunks(1)).await?;
        let start = Instant::now();
        while received.count.get() < u64::from(count) {
            let missing = u64::from(count) - received.count.get();
            ensure!(start.elapsed() < LIMIT, "{missing} messages did not arrive within {LIMIT:.0?}");
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    ensure_running(&mut waiting, sending).await?;
    let usage = meter.stop();
    let variant = format!("{count} waiting readers");
    let subject = Subject::new("waiters", variant, "sends", "from a send to its receipt");
    let sample = Sample::new(subject.clients(clients).storing(1), u64::from(count), &usage, received.latencies.take());
    Ok(vec![sample.with(Figure::PeakMemory, stage.target.peak_memory()).with(Figure::MemoryPerWaiter, growth)])
}

/// Polls again and again.
async fn wait(mut reader: Reader, received: Rc<Received>) -> anyhow::Result<()> {
    loop {
        let messages = reader.read(100, WAIT).await?;
        received.count.set(received.count.get() + messages as u64);
        received.latencies.borrow_mut().extend(reader.take_latencies());
    }
}

/// Awaits `work`, and fails if a reader fails meanwhile.
async fn ensure_running(
    readers: &mut JoinSet<anyhow::Result<()>>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        done = work => done,
        Some(ended) = readers.join_next() => {
            ended??;
            bail!("a reader ended before its time");
        }
    }
}

/// Waits until the server does nothing.
async fn settle(stage: &Stage) -> anyhow::Result<()> {
    let idle = async {
        loop {
            let meter = Meter::start(&stage.target);
            sleep(STEP).await;
            match meter.stop().server {
                Some(used) if used < STEP.as_secs_f64() / 5.0 => return,
                Some(_) => {}
                None => return sleep(SETTLE).await,
            }
        }
    };
    timeout(LIMIT, idle).await.with_context(|| format!("the server is still busy after {LIMIT:.0?}"))
}
