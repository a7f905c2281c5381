//! Runs clients concurrently for some seconds. Each client repeats an operation without a pause.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::measure::{Meter, Processes, Usage};

/// Maximum time for the clients to finish their last operation when the measurement is over.
const LAST: Duration = Duration::from_secs(90);

/// An operation that a client repeats.
pub(super) trait Operation: 'static {
    /// Runs the operation once. The duration of the call is recorded as a latency. Returns the number of operations
    /// that this call adds to the throughput.
    async fn run(&mut self) -> anyhow::Result<u64>;
}

/// The measurement of all clients: CPU times, number of operations, and latencies.
pub(super) struct Measured {
    pub(super) usage: Usage,
    pub(super) operations: u64,
    /// The duration of each call of [`Operation::run`], in microseconds.
    pub(super) latencies: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Stop,
}

/// Runs the clients for a warm-up of at most one second, then measures them for `seconds` seconds. Waits until each
/// client has finished its last operation, and returns the measurement and the clients. Fails at the first error.
pub(super) async fn run<O: Operation>(
    processes: Processes,
    clients: Vec<O>,
    seconds: f64,
) -> anyhow::Result<(Measured, Vec<O>)> {
    let phase = Rc::new(Cell::new(Phase::WarmUp));
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let operations = Rc::new(Cell::new(0));
    let mut tasks = JoinSet::new();
    for mut client in clients {
        let (phase, latencies, operations) = (phase.clone(), latencies.clone(), operations.clone());
        tasks.spawn_local(async move {
            while phase.get() != Phase::Stop {
                let start = Instant::now();
                let count = client.run().await?;
                if phase.get() == Phase::Measure {
                    latencies.borrow_mut().push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
                    operations.set(operations.get() + count);
                }
            }
            anyhow::Ok(client)
        });
    }
    let measure = async {
        sleep(Duration::from_secs_f64((seconds / 4.0).min(1.0))).await;
        phase.set(Phase::Measure);
        let meter = Meter::of(processes);
        sleep(Duration::from_secs_f64(seconds)).await;
        phase.set(Phase::Stop);
        meter.stop()
    };
    let usage = tokio::select! {
        usage = measure => usage,
        Some(ended) = tasks.join_next() => {
            ended??;
            anyhow::bail!("a client ended before the end of the measurement");
        }
    };
    let mut clients = Vec::new();
    while let Some(ended) =
        timeout(LAST, tasks.join_next()).await.context("a client did not finish its last operation")?
    {
        clients.push(ended??);
    }
    let (latencies, operations) = (latencies.take(), operations.get());
    anyhow::ensure!(operations > 0, "no operation was completed in {seconds} seconds: raise --seconds");
    Ok((Measured { usage, operations, latencies }, clients))
}
