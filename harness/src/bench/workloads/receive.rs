use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::bench::accounts::Account;
use crate::bench::figure::Figure;
use crate::bench::measure::Meter;
use crate::bench::reader::Reader;
use crate::bench::sample::{Sample, Subject};
use crate::bench::sender::Sender;
use crate::bench::stage::Stage;

/// Number of messages in each mailbox, and on each page: the default page size of the API.
pub(super) const BACKLOG: usize = 100;
/// Number of recipients of each message that fills the mailboxes: the maximum of the API.
const AT_ONCE: usize = 100;
/// Number of senders that fill the mailboxes.
const FILLERS: usize = 4;
/// Maximum duration of the workload, as a multiple of --seconds. The workload takes longer than its measurement,
/// because filling the mailboxes takes longer than reading them and is not measured.
const LIMIT: f64 = 12.0;

/// Measures reads and acknowledgements of mailboxes with 100 messages each. The clients read all mailboxes in each of
/// several rounds. Before each round, the mailboxes are filled. Filling them is not measured.
pub(in crate::bench) async fn run(stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
    let recipients = stage.accounts(stage.args.users, 1).await?;
    let mut readers = stage.readers(&recipients).await?;
    let mut fillers = stage.senders(FILLERS).await?;
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(stage.seconds() * LIMIT));
    let mut total = None;
    let (mut latencies, mut received) = (Vec::new(), 0);
    // Does not measure the first round, which is a warm-up.
    for round in 0.. {
        let groups = recipients.chunks(AT_ONCE).flat_map(|group| (0..BACKLOG).map(move |_| group));
        fill(&mut fillers, groups).await?;
        let meter = Meter::start(&stage.target);
        let read = drain(&mut readers, clients).await?;
        let used = meter.stop();
        if round == 0 {
            continue;
        }
        latencies.extend(read);
        received += (recipients.len() * BACKLOG) as u64;
        let usage = total.get_or_insert(used);
        if round > 1 {
            usage.add(&used);
        }
        if usage.wall >= stage.seconds() || start.elapsed() > limit {
            break;
        }
    }
    let usage = total.unwrap_or_else(|| Meter::start(&stage.target).stop());
    let latency = "of reading and acknowledging a page of 100";
    let subject = Subject::new("receive", "", "messages", latency).clients(clients);
    let sample = Sample::new(subject, received, &usage, latencies);
    Ok(vec![sample.with(Figure::PeakMemory, stage.target.peak_memory())])
}

/// Sends one message to each group of users in `groups`: all users of a group are recipients of the same message. The
/// senders `fillers` share this work, and send concurrently.
pub(super) async fn fill<'a>(
    fillers: &mut [Sender],
    groups: impl Iterator<Item = &'a [Rc<Account>]>,
) -> anyhow::Result<()> {
    let groups = RefCell::new(groups);
    let filling = fillers.iter_mut().map(async |filler| {
        loop {
            let next = groups.borrow_mut().next();
            let Some(group) = next else { return anyhow::Ok(()) };
            filler.send(group).await?;
        }
    });
    futures_util::future::try_join_all(filling).await?;
    Ok(())
}

/// Reads and acknowledges all messages in the mailboxes of `readers`, `at_a_time` mailboxes at the same time. Returns
/// for each page the time to read and acknowledge it, in microseconds.
pub(super) async fn drain(readers: &mut Vec<Reader>, at_a_time: usize) -> anyhow::Result<Vec<u32>> {
    let queue = Rc::new(RefCell::new(std::mem::take(readers)));
    let mut tasks = JoinSet::new();
    for _ in 0..at_a_time {
        let queue = queue.clone();
        tasks.spawn_local(async move {
            let (mut done, mut latencies) = (Vec::new(), Vec::new());
            loop {
                let next = queue.borrow_mut().pop();
                let Some(mut reader) = next else { return anyhow::Ok((done, latencies)) };
                while reader.pending() > 0 {
                    let start = Instant::now();
                    if reader.read(BACKLOG, 0).await? == 0 {
                        reader.ensure_complete()?;
                    }
                    reader.acknowledge().await?;
                    latencies.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
                }
                done.push(reader);
            }
        });
    }
    let mut latencies = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        let (done, of_task) = ended??;
        readers.extend(done);
        latencies.extend(of_task);
    }
    Ok(latencies)
}
