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

/// Maximum time that a long poll waits for a message, in seconds. This is the maximum of the API.
const WAIT: u64 = 50;
/// Number of file handles for everything other than waiting connections.
const OTHER_HANDLES: u64 = 512;
/// Maximum time to wait until the server is idle. Also the maximum time from a send to the arrival of its message.
const LIMIT: Duration = Duration::from_secs(120);
/// If the CPU time of the server is unknown, the benchmark assumes that the server is idle after this time.
const SETTLE: Duration = Duration::from_secs(3);
const STEP: Duration = Duration::from_millis(250);

/// What a sender knows about a waiting reader: the account to send to, and a notification that the message has arrived.
struct Waiter {
    account: [Rc<Account>; 1],
    received: Notify,
}

/// Measures sends to many readers that wait by long poll. Each reader receives one message, then waits again. A sender
/// sends its next message only when its previous message has arrived. Otherwise, messages would wait in a growing
/// queue, and the latencies would include the time in this queue.
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
    let subject =
        Subject::new("waiters", variant, "messages sent and received", "from a send to the arrival of its message");
    let sample = Sample::new(subject.clients(clients), u64::from(count), &usage, latencies.take());
    Ok(vec![sample.with(Figure::PeakMemory, stage.target.peak_memory()).with(Figure::MemoryPerWaiter, growth)])
}

/// Sends one message to each waiting reader. The senders share this work, and send concurrently.
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

/// Polls for messages again and again. When a message arrives, adds its latency to `latencies`, and notifies its sender
/// through `waiter`.
async fn wait(mut reader: Reader, waiter: Rc<Waiter>, latencies: Rc<RefCell<Vec<u32>>>) -> anyhow::Result<()> {
    loop {
        if reader.read(100, WAIT).await? > 0 {
            latencies.borrow_mut().extend(reader.take_latencies());
            waiter.received.notify_one();
        }
    }
}

/// Awaits `work`. Fails if a reader ends before `work` completes.
async fn ensure_running(
    readers: &mut JoinSet<anyhow::Result<()>>,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        done = work => done,
        Some(ended) = readers.join_next() => {
            ended??;
            bail!("a reader ended before the end of the measurement");
        }
    }
}

/// Waits until the server is idle: until it uses less than 20 % of one core.
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
