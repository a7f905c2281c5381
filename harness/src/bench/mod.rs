//! The benchmark: measures the throughput, latency, CPU time and memory of a server.
//!
//! A run measures each workload once, each on a fresh server process. Each run measures all workloads before the next
//! run starts. So if the machine is slow for a minute, this affects one run of a few workloads, instead of all runs of
//! one workload. The load generator is one thread of this process. Every response and every message is checked, and the
//! first wrong one ends the benchmark.
//!
//! - `workloads`: the measured workloads, one file each. `limits`: reference measurements, with which the workloads are
//!   compared.
//! - `stage`, `target`, `accounts`: the server and its users. `sender`, `reader`, `ledger`: send, read and check
//!   messages.
//! - `closed_loop`, `measure`, `sample`, `stats`: run operations and calculate figures. A figure is one measured value,
//!   such as the throughput. A sample has the figures of one measurement, and a series has the samples of all runs.
//! - `table`, `json`, `report`: the output formats.

mod accounts;
mod args;
mod closed_loop;
mod contents;
mod figure;
mod file_handles;
mod http;
mod json;
mod ledger;
mod limits;
mod machine;
mod measure;
mod outcome;
mod progress;
mod ratios;
mod reader;
mod report;
mod sample;
mod sender;
mod stage;
mod stats;
mod table;
mod target;
mod workload;
mod workloads;

use std::rc::Rc;

use anyhow::Context as _;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

pub(crate) use self::args::BenchArgs;
pub(crate) use self::limits::serve as serve_echo;

use self::machine::Machine;
use self::outcome::Outcome;
use self::progress::Progress;
use self::sample::collect;
use self::stage::Stage;
use self::target::Target;
use self::workload::Workload;

/// Runs the benchmark, prints the table, and writes the files that the arguments request.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    file_handles::raise();
    // Runs the load generator on a single thread, so that it takes little of the CPU time that it shares with the
    // server.
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new().name("woosh-bench".to_owned()).spawn(move || {
        // Sending can't fail, because the receiver is awaited below.
        let _ = done.send(run_on_this_thread(args));
    })?;
    outcome.await.context("the benchmark thread panicked")?
}

fn run_on_this_thread(args: BenchArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let args = Rc::new(args);
    let outcome = LocalSet::new().block_on(&runtime, measure(&args))?;
    print!("{}", table::format(&outcome.series));
    if let Some(file) = &args.json {
        let text = serde_json::to_string_pretty(&json::document(&outcome))?;
        std::fs::write(file, text + "\n").with_context(|| format!("can't write {}", file.display()))?;
    }
    if let Some(file) = &args.report {
        std::fs::write(file, report::page(&outcome)).with_context(|| format!("can't write {}", file.display()))?;
    }
    Ok(())
}

async fn measure(args: &Rc<BenchArgs>) -> anyhow::Result<Outcome> {
    let program = std::env::current_exe()?;
    let database = match args.url {
        None => Some(target::describe_database(args.backend).await?),
        Some(_) => None,
    };
    let measurements = measurements(args);
    let progress = Progress::new(usize::from(args.runs) * (measurements.len() + 1));
    let mut series = Vec::new();
    for run in 1..=args.runs {
        progress.step(&format!("run {run}, limits"));
        for sample in limits::run(&program, args).await.context("limits")? {
            collect(&mut series, sample);
        }
        for (workload, clients) in &measurements {
            progress.step(&format!("run {run}, {workload}, {clients} clients"));
            let measured = async {
                let target = match &args.url {
                    None => Target::start(&program, args.backend).await?,
                    Some(url) => Target::running(url).await?,
                };
                workload.run(&Stage::new(target, args.clone()), *clients).await
            };
            for sample in measured.await.with_context(|| format!("{workload}, {clients} clients"))? {
                collect(&mut series, sample);
            }
        }
    }
    let target = args.url.clone().unwrap_or_else(|| format!("fresh servers on {}", args.backend));
    let arguments = std::env::args().skip(1).collect();
    Ok(Outcome { series, machine: Machine::read(), arguments, target, database })
}

/// Returns the measurements of a run: each workload with each number of clients in `--clients`. Workloads that do not
/// depend on the number of clients are measured only with the largest of these numbers.
fn measurements(args: &BenchArgs) -> Vec<(Workload, usize)> {
    let with_clients = |workload: &Workload| {
        let workload = *workload;
        let clients: Vec<usize> = match workload.depends_on_clients() {
            true => args.clients.iter().copied().map(usize::from).collect(),
            false => vec![args.most_clients()],
        };
        clients.into_iter().map(move |clients| (workload, clients))
    };
    args.workloads.iter().flat_map(with_clients).collect()
}
