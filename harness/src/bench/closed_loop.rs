//! Clients that repeat an operation, each without a pause, for a time.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::measure::{Meter, Processes, Usage};

/// How long clients may take to finish their last operation.
const LAST: Duration = Duration::from_secs(90);

/// What a client repeats.
pub(super) trait Operation: 'static {
    /// Runs once. Returns how many operations that counts as, which share one latency.
    async fn run(&mut self) -> anyhow::Result<u64>;
}

/// What clients did while they were measured.
pub(super) struct Measured {
    pub(super) usage: Usage,
    pub(super) operations: u64,
    /// In microseconds.
    pub(super) latencies: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    WarmUp,
    Measure,
    Stop,
}

/// Runs the clients for some seconds after a warm-up. Each finishes its last operation. Fails at the first error.
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
            anyhow::bail!("a client ended before its time");
        }
    };
    let mut clients = Vec::new();
    while let Some(ended) = timeout(LAST, tasks.join_next()).await.context("a client does not end")? {
        clients.push(ended??);
    }
    let (latencies, operations) = (latencies.take(), operations.get());
    anyhow::ensure!(operations > 0, "no operation was completed in {seconds} seconds: raise --seconds");
    Ok((Measured { usage, operations, latencies }, clients))
}
