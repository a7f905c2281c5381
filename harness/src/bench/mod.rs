//! The benchmark: what a server does per second, how long that takes, and what it costs.
//!
//! Each workload of each run gets a fresh server process. The load generator is this process, on one thread. The runs are
//! interleaved, so that a slow minute of the machine does not affect one workload only. Every response and every message is
//! checked; the first that is wrong ends the benchmark.
//!
//! - `workloads`: what is measured, one file each; `limits`: what it is compared with.
//! - `stage`, `target`, `accounts`: the server and its users; `sender`, `reader`, `ledger`: what they do, and the checks.
//! - `closed_loop`, `measure`, `sample`, `stats`: from operations to figures.
//! - `table`, `json`, `report`: the output.

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

/// Measures, prints the table and writes the files.
pub(crate) async fn run(args: BenchArgs) -> anyhow::Result<()> {
    file_handles::raise();
    // On one thread of its own: the fewer threads the generator has, the less it takes from the server.
    let (done, outcome) = oneshot::channel();
    std::thread::Builder::new().name("woosh-bench".to_owned()).spawn(move || {
        // The receiver waits.
        let _ = done.send(run_on_this_thread(args));
    })?;
    outcome.await.context("the thread of the benchmark panicked")?
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

/// The workloads with the numbers of clients that each is measured with.
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
