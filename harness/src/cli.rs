//! The command line, for tests in any language.

use std::io::Read as _;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Parser, Subcommand};
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::process::Command as Process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::{Backend, TestServer, sanity};

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
}

#[derive(Debug, Args)]
struct StartArgs {
    /// Which database they keep their data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite)]
    backend: Backend,
    /// The port to listen on; 0 for any free one. With more than one server, the first of so many ports in a row.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How many servers.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,
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
    /// A running server to check. It gets users that stay. Without this, each check gets a fresh server.
    #[arg(long)]
    url: Option<String>,
    /// Which database the fresh servers keep their data in.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    backend: Backend,
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
        }
    }
}

async fn start(args: StartArgs) -> anyhow::Result<ExitCode> {
    // From here on no signal can end the process before the servers are gone.
    let mut signals = Signals::new()?;
    let last = u32::from(args.port) + u32::from(args.count) - 1;
    ensure!(args.port == 0 || last <= u32::from(u16::MAX), "there are no {} ports from {}", args.count, args.port);
    let ports = (0..args.count).map(|place| if args.port == 0 { 0 } else { args.port + place });
    let servers = try_join_all(ports.map(|port| TestServer::start_on(args.backend, port))).await?;

    let instances =
        servers.iter().map(|server| json!({ "url": server.url(), "backend": server.backend().to_string() }));
    println!("{}", json!({ "instances": instances.collect::<Vec<_>>() }));
    tokio::select! {
        () = end_of_input() => {}
        _ = signals.next() => {}
    }
    Ok(ExitCode::SUCCESS)
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
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
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
    Ok(ExitCode::from(exit_code(status)))
}

/// The status of a command, as a shell has it: that of one that was killed is 128 and the signal's number.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

async fn check(args: SanityArgs) -> anyhow::Result<ExitCode> {
    let target = match args.url {
        Some(url) => sanity::Target::Running(url.trim_end_matches('/').to_owned()),
        None => sanity::Target::Fresh(args.backend),
    };
    let failed = sanity::run(&target, |line| println!("{line}")).await;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
