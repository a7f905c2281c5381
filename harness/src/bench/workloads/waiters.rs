use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::bench::accounts::Account;
use crate::bench::figure::Figure;
use crate::bench::file_handles;
use crate::bench::measure::Meter;
use crate::bench::reader::Reader;
use crate::bench::sample::{Sample, Subject};
use crate::bench::sender::Sender;
use crate::bench::stage::Stage;

/// How long a poll waits, in seconds: the most that the API permits.
const WAIT: u64 = 50;
/// File handles for everything but waiting connections.
const OTHER_HANDLES: u64 = 512;
/// How long the server may take until all readers wait, and until a message is received.
const LIMIT: Duration = Duration::from_secs(120);
/// How long to wait for a server whose CPU is unknown.
const SETTLE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(250);

/// A waiting reader's mailbox, as its sender sees it.
struct Waiter {
    account: [Rc<Account>; 1],
    received: Notify,
}

/// Many readers wait by long poll, and each is sent one message, after which it waits again. The senders wait until the
/// message is received, so that latency does not include a queue that grows.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let count = stage.args.waiters;
    file_handles::ensure(u64::from(count) + OTHER_HANDLES).context("the workload waiters")?;
    let accounts = stage.accounts(count, 1).await?;
    let mut senders = stage.senders(clients).await?;
    settle(stage).await?;
    let before = stage.target.memory_kib();
    stage.target.reset_peak_memory();

    let latencies = Rc::new(RefCell::new(Vec::new()));
    let (mut waiters, mut waiting) = (Vec::new(), JoinSet::new());
    for (reader, account) in stage.readers(&accounts).await?.into_iter().zip(accounts) {
        let waiter = Rc::new(Waiter { account: [account], received: Notify::new() });
        waiters.push(waiter.clone());
        waiting.spawn_local(wait(reader, waiter, latencies.clone()));
    }
    ensure_running(&mut waiting, settle(stage)).await?;
    let growth = before.zip(stage.target.memory_kib()).map(|(before, after)| (after - before) / f64::from(count));

    let meter = Meter::start(&stage.target);
    ensure_running(&mut waiting, send_to_each(&mut senders, &waiters)).await?;
    let usage = meter.stop();
    let variant = format!("{count} waiting readers");
    let subject = Subject::new("waiters", variant, "messages sent and received", "from a send to its receipt");
    let sample = Sample::new(subject.clients(clients), u64::from(count), &usage, latencies.take());
    Ok(vec![sample.with(Figure::PeakMemory, stage.target.peak_memory()).with(Figure::MemoryPerWaiter, growth)])
}

/// Sends one message to each waiter, with all senders at a time.
async fn send_to_each(senders: &mut [Sender], waiters: &[Rc<Waiter>]) -> anyhow::Result<()> {
    let queue = RefCell::new(waiters.iter());
    let sending = senders.iter_mut().map(async |sender| {
        loop {
            let next = queue.borrow_mut().next();
            let Some(waiter) = next else { return anyhow::Ok(()) };
            sender.send(&waiter.account).await?;
            let received = timeout(LIMIT, waiter.received.notified()).await;
            received.with_context(|| format!("a message did not arrive within {LIMIT:.0?}"))?;
        }
    });
    try_join_all(sending).await?;
    Ok(())
}

/// Polls again and again.
async fn wait(mut reader: Reader, waiter: Rc<Waiter>, latencies: Rc<RefCell<Vec<u32>>>) -> anyhow::Result<()> {
    loop {
        if reader.read(100, WAIT).await? > 0 {
            latencies.borrow_mut().extend(reader.take_latencies());
            waiter.received.notify_one();
        }
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
