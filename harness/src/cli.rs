//! The command line of `woosh-harness`.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::bench::{self, BenchArgs};
use crate::faults::{self, FaultsArgs};
use crate::guarded_command::GuardedCommand;
use crate::{Backend, TestDatabase, TestServer, kill, sanity};

/// Fresh, isolated Woosh servers for tests in any language.
#[derive(Debug, Parser)]
#[command(name = "woosh-harness", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start fresh servers, and print their URLs as one line of JSON once they are ready. Stop the servers and delete
    /// their data when standard input closes, or on SIGHUP, SIGINT or SIGTERM.
    Start(StartArgs),
    /// Run a command with the URL of a fresh server in WOOSH_URL, and exit with the status of the command.
    Run(RunArgs),
    /// Run the sanity suite: checks of a server that use only its HTTP API. Print a line for each check, then the
    /// totals.
    Sanity(SanityArgs),
    /// Send and read messages while servers are killed and started again. Check that every accepted message is received
    /// once and in order.
    ///
    /// By default, the run starts fresh servers. With --url, it uses a running server, and restarts it with the command
    /// in --restart.
    Kill(KillArgs),
    /// Send and read messages on fresh servers, and inject a fault into each server: a fault of its database, disk,
    /// network, clock or process.
    ///
    /// Prints one line for each fault: the status codes of the responses, how long the server took to serve again after
    /// the end of the fault, and how many sends were accepted, lost and duplicated. The test of a fault fails if an
    /// accepted send is lost or duplicated, if the server does not serve again within the limit that the line names, or
    /// if a response is neither a success nor a 503 or 507 with Retry-After. If a test fails, the exit status is 1. If
    /// this machine does not allow a fault, the fault is skipped, and the line names the reason: some faults need root,
    /// the programs of Postgres, or the package libfaketime.
    Faults(FaultsArgs),
    /// Measure a server: operations per second, latency, CPU and memory, compared with the limits of this machine.
    ///
    /// Prints a table with the median, the lowest and the highest of each measured value. Checks every response and
    /// every message: the first error or wrong response ends the benchmark with status 1.
    Bench(Box<BenchArgs>),
    /// Serve like woosh-server until standard input closes. The harness starts its servers with this command.
    #[command(hide = true)]
    Serve(Box<woosh_server::cli::Cli>),
    /// Serve as the echo server of `bench`, which responds to sends without storing them, until standard input closes.
    #[command(hide = true)]
    Echo,
}

#[derive(Debug, Args)]
struct StartArgs {
    /// The kind of database.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// The port to listen on. 0 selects free ports. Several servers use consecutive ports, starting with this port.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The number of databases. Each has one or more servers of its own (see --replicas).
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// The number of servers on each database. More than 1 needs Postgres.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    replicas: u16,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// The kind of database.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct SanityArgs {
    /// The URL of a running server to check. Without this option, each check starts a server of its own. Repeat the
    /// option for each replica: the checks send their requests to the replicas in turn. The users that the checks
    /// register remain on the server.
    #[arg(long)]
    url: Vec<String>,
    /// The kind of database of the servers that the checks start.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    backend: Backend,
}

#[derive(Debug, Args)]
struct KillArgs {
    /// The kind of database of the servers that the run starts.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    backend: Backend,
    /// The number of servers that the run starts. The servers share a database.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10), conflicts_with = "url")]
    replicas: u16,
    /// The URL of a running server to use. The run then starts no servers. The users that the run registers remain on
    /// the running server. An https URL needs a harness that was built with the feature `tls`. SSL_CERT_FILE can name a
    /// file with trusted certificates.
    #[arg(long, requires = "restart")]
    url: Option<String>,
    /// A command for sh that kills the running server and starts it again, such as
    /// 'docker kill --signal KILL NAME && docker start NAME'. The run then waits until /health/ready returns 200.
    #[arg(long, value_name = "COMMAND", requires = "url")]
    restart: Option<String>,
    /// The number of restarts after which the run ends, instead of ending after --seconds.
    #[arg(long, value_name = "COUNT", requires = "url", conflicts_with = "seconds",
        value_parser = clap::value_parser!(u32).range(1..))]
    restarts: Option<u32>,
    /// The seed of all random choices. To repeat the choices of a run, pass its seed [default: a random seed, which the
    /// run prints]
    #[arg(long)]
    seed: Option<u64>,
    /// Inject faults other than kills, too: a server is stopped for a moment; on SQLite, the database file is removed
    /// and put back; on Postgres, connections are ended, packets are dropped, the network is cut, or Postgres crashes.
    /// A run on Postgres needs the programs of Postgres.
    #[arg(long, conflicts_with = "url")]
    faults: bool,
    /// The time for which the run sends messages and kills servers, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Cli {
    /// Runs the command. Returns the exit status.
    ///
    /// # Errors
    ///
    /// If the command can't be run. The error message is one line.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Start(args) => start(args).await,
            Command::Run(args) => run(args).await,
            Command::Sanity(args) => check(args).await,
            Command::Kill(args) => kill(args).await,
            Command::Faults(args) => inject(&args).await,
            Command::Bench(args) => bench::run(*args).await.map(|()| ExitCode::SUCCESS),
            Command::Serve(server) => until_end_of_input(server.run()).await,
            Command::Echo => until_end_of_input(bench::serve_echo()).await,
        }
    }
}

async fn start(args: StartArgs) -> anyhow::Result<ExitCode> {
    // From now on, the process handles signals, so that it can stop the servers before it ends.
    let mut signals = Signals::new()?;
    let StartArgs { backend, port, count, replicas } = args;
    ensure!(
        replicas == 1 || backend != Backend::Sqlite,
        "--replicas needs a database that servers can share: use --backend postgres"
    );
    let servers = u32::from(count) * u32::from(replicas);
    let last = u32::from(port) + servers - 1;
    ensure!(
        port == 0 || u16::try_from(last).is_ok(),
        "{servers} servers need ports {port} to {last}, but the last port is 65535"
    );

    let instances = try_join_all((0..count).map(async |index| {
        let database = Arc::new(TestDatabase::create(backend).await?);
        let first = port + if port == 0 { 0 } else { index * replicas };
        let ports = (0..replicas).map(|replica| if port == 0 { 0 } else { first + replica });
        try_join_all(ports.map(|port| TestServer::start_on(database.clone(), port))).await
    }));
    let instances = instances.await?;
    println!("{}", json!({ "instances": instances.iter().map(|servers| describe(servers)).collect::<Vec<_>>() }));
    tokio::select! {
        () = end_of_input() => {}
        _ = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the JSON that `start` prints for one database: the URLs of its servers, and its kind.
fn describe(servers: &[TestServer]) -> Value {
    let urls: Vec<_> = servers.iter().map(TestServer::url).collect();
    let backend = servers.first().map(|server| server.backend().to_string());
    match urls.as_slice() {
        [url] => json!({ "url": url, "backend": backend }),
        _ => json!({ "url": urls.first(), "replicas": urls, "backend": backend }),
    }
}

async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let server = TestServer::start(args.backend).await?;
    let mut command = GuardedCommand::start(&args.command, ("WOOSH_URL", server.url())).context("can't run /bin/sh")?;
    let pid = command.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    let status = loop {
        tokio::select! {
            status = command.wait() => break status?,
            signal = signals.next() => {
                // Forwards the signal instead of exiting, so that the command can decide how to end. If the command has
                // ended already, the next iteration returns its status.
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
        }
    };
    Ok(ExitCode::from(exit_code(status)))
}

/// Returns the exit status of a command, as a shell does: if a signal killed the command, 128 plus the number of the
/// signal.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

async fn check(args: SanityArgs) -> anyhow::Result<ExitCode> {
    let target = if args.url.is_empty() {
        sanity::Target::Fresh { backend: args.backend, replicas: 1 }
    } else {
        sanity::Target::Running(args.url)
    };
    let failed = sanity::run(&target, |line| println!("{line}")).await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn kill(args: KillArgs) -> anyhow::Result<ExitCode> {
    let KillArgs { backend, replicas, url, restart, restarts, seed, faults, seconds } = args;
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed}");
    let duration = Duration::from_secs(seconds);
    let outcome = if let (Some(url), Some(restart)) = (url, restart) {
        println!("The tables are not audited: the run has no access to the database of the server.");
        let length = restarts.map_or(kill::Length::Duration(duration), kill::Length::Restarts);
        kill::run_on(&kill::RunningPlan { url, restart, length, seed }).await?
    } else {
        kill::run(&std::env::current_exe()?, &kill::Plan { backend, replicas, faults, seed, duration }).await?
    };
    outcome.violations.iter().for_each(|violation| println!("{violation}"));
    println!("{outcome}");
    Ok(if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn inject(args: &FaultsArgs) -> anyhow::Result<ExitCode> {
    let passed = faults::run(args, &std::env::current_exe()?, |line| println!("{line}")).await?;
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn until_end_of_input(serve: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    tokio::select! {
        served = serve => served.map(|()| ExitCode::SUCCESS),
        // The process that started this server has ended, perhaps by a kill. Exits without a shutdown, so that the
        // server ends in the same way.
        () = end_of_input() => std::process::exit(1),
    }
}

/// Waits until standard input closes.
async fn end_of_input() {
    let (closed, ended) = oneshot::channel();
    // Reads on a separate thread that nobody joins, because a blocking read can't be cancelled.
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 4096];
        while stdin.read(&mut buffer).is_ok_and(|read| read > 0) {}
        let _ = closed.send(());
    });
    let _ = ended.await;
}

/// The signals that ask the process to end.
struct Signals {
    hangup: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> rustix::process::Signal {
        tokio::select! {
            _ = self.hangup.recv() => rustix::process::Signal::HUP,
            _ = self.interrupt.recv() => rustix::process::Signal::INT,
            _ = self.terminate.recv() => rustix::process::Signal::TERM,
        }
    }
}
