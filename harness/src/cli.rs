//! The command line, for tests in any language.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::process::Command as Process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::watcher::Watcher;
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
    /// Start fresh servers, print where they are as one line of JSON once they answer, and remove them and their data
    /// when standard input closes or a signal comes.
    Start(StartArgs),
    /// Start a fresh server, run a command with its address as WOOSH_URL, remove the server, and exit like the command.
    Run(RunArgs),
    /// Check a server from outside: a line per check, and at the end how many passed and failed.
    Sanity(SanityArgs),
    /// Send and read messages while servers of a fresh database are killed again and again, and check that all that was
    /// accepted is received, in order and once.
    Kill(KillArgs),
    /// Serve like woosh-server does, until standard input closes.
    #[command(hide = true)]
    Serve(Box<woosh_server::cli::Cli>),
}

#[derive(Debug, Args)]
struct StartArgs {
    /// Which database they keep their data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// The port to listen on; 0 for any free one. With more than one server, the first of as many ports in a row.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many instances.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
    /// How many servers to start on the database of each instance.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    replicas: u16,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Which database it keeps its data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Debug, Args)]
struct SanityArgs {
    /// A running server to check; several times for its replicas, which are asked in turn. It gets users that stay.
    /// Without this, each check gets a fresh server.
    #[arg(long)]
    url: Vec<String>,
    /// Which database the fresh servers keep their data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    backend: Backend,
}

#[derive(Debug, Args)]
struct KillArgs {
    /// Which database the servers keep their data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// How many servers share the database.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10))]
    replicas: u16,
    /// What decides all that is random, so that a run can be had again [default: a random one, which is printed]
    #[arg(long)]
    seed: Option<u64>,
    /// How long to send and to kill.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

impl Cli {
    /// Does what the command line asks for, and gives the status to exit with.
    ///
    /// # Errors
    ///
    /// Where it can't be done, with one line that says why.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Start(args) => start(args).await,
            Command::Run(args) => run(args).await,
            Command::Sanity(args) => check(args).await,
            Command::Kill(args) => kill(args).await,
            Command::Serve(server) => serve(*server).await,
        }
    }
}

async fn start(args: StartArgs) -> anyhow::Result<ExitCode> {
    // From here on no signal can end the process before the servers are gone.
    let mut signals = Signals::new()?;
    let StartArgs { backend, port, count, replicas } = args;
    ensure!(replicas == 1 || backend != Backend::Sqlite, "--replicas needs a database that servers can share");
    let servers = u32::from(count) * u32::from(replicas);
    let last = u32::from(port) + servers - 1;
    ensure!(port == 0 || last <= u32::from(u16::MAX), "there are no {servers} ports from {port} on");

    let instances = try_join_all((0..count).map(async |place| {
        let database = Arc::new(TestDatabase::create(backend).await?);
        let first = port + if port == 0 { 0 } else { place * replicas };
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

/// Says where the servers of an instance are.
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
    let [program, arguments @ ..] = args.command.as_slice() else {
        anyhow::bail!("no command was given");
    };
    let mut child = Process::new(program)
        .args(arguments)
        .env("WOOSH_URL", server.url())
        .spawn()
        .with_context(|| format!("{program} can't be run"))?;
    let id = child.id().context("the command ended before it was waited for")?;
    let pid = rustix::process::Pid::from_raw(id.cast_signed());
    // This process may be killed before it can end the command.
    let mut watcher = Watcher::new(r#"kill -TERM "$1""#, id.to_string())?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            signal = signals.next() => {
                // It is the command's to say how it ends; if it is gone already, that is seen in the next round.
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, signal);
                }
            }
        }
    };
    watcher.dismiss();
    Ok(ExitCode::from(exit_code(status)))
}

/// The status of a command, as a shell has it: that of one that was killed is 128 and the signal's number.
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
    let KillArgs { backend, replicas, seed, seconds } = args;
    let seed = seed.map_or_else(getrandom::u64, Ok)?;
    println!("seed {seed}");
    let plan = kill::Plan { backend, replicas, seed, duration: Duration::from_secs(seconds) };
    let outcome = kill::run(&std::env::current_exe()?, &plan).await?;
    outcome.violations.iter().for_each(|violation| println!("{violation}"));
    println!("{outcome}");
    Ok(if outcome.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn serve(server: woosh_server::cli::Cli) -> anyhow::Result<ExitCode> {
    tokio::select! {
        served = server.run() => served.map(|()| ExitCode::SUCCESS),
        // Whoever started it is gone. At once, as if it were killed too.
        () = end_of_input() => std::process::exit(1),
    }
}

/// Waits until nobody can write to standard input any more.
async fn end_of_input() {
    let (closed, ended) = oneshot::channel();
    // On a thread of its own, which nobody waits for: a read can't be called off.
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut buffer = [0; 4096];
        while stdin.read(&mut buffer).is_ok_and(|read| read > 0) {}
        let _ = closed.send(());
    });
    let _ = ended.await;
}

/// The signals that ask a process to end.
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
