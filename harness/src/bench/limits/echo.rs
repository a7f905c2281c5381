//! The echo server: it parses each send and responds, but stores nothing. Its throughput shows what HTTP and JSON cost.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use poem::http::StatusCode;
use poem::listener::TcpAcceptor;
use poem::web::Json;
use poem::{IntoResponse, Response, Route, handler, post};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::bench::accounts::{Account, Device};
use crate::bench::args::BenchArgs;
use crate::bench::closed_loop::{self, Operation};
use crate::bench::contents::Contents;
use crate::bench::figure::Figure;
use crate::bench::http::Endpoint;
use crate::bench::ledger::Ledger;
use crate::bench::measure::{self, Processes};
use crate::bench::sample::{Sample, Subject};
use crate::bench::sender::Sender;

/// Maximum time for the server process to start listening.
const START: Duration = Duration::from_secs(30);
/// Duration of the measurement, in seconds.
const SECONDS: f64 = 2.0;

#[derive(Deserialize)]
struct Send {
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
struct Recipient {
    username: String,
    contents: String,
}

#[derive(Serialize)]
struct Receipt {
    id: usize,
    sent_at: &'static str,
    undelivered: [(); 0],
}

#[handler]
fn echo(Json(send): Json<Send>) -> Response {
    let id = send.recipients.iter().map(|recipient| recipient.username.len() + recipient.contents.len()).sum();
    let receipt = Receipt { id, sent_at: "2026-01-01T00:00:00.000000Z", undelivered: [] };
    Json(receipt).with_status(StatusCode::CREATED).into_response()
}

/// Runs the echo server. Prints its URL, then serves requests.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("http://{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let server = poem::Server::new_with_acceptor(TcpAcceptor::from_tokio(listener)?);
    Ok(server.run(Route::new().at("/v1/messages", post(echo))).await?)
}

/// A client that sends requests to the echo server.
struct Client {
    sender: Sender,
    recipient: [Rc<Account>; 1],
}

impl Operation for Client {
    async fn run(&mut self) -> anyhow::Result<u64> {
        self.sender.send(&self.recipient).await?;
        Ok(1)
    }
}

/// Measures the echo server: starts it as a process, and sends requests to it.
pub(super) async fn run(program: &Path, args: &BenchArgs, clients: usize) -> anyhow::Result<Sample> {
    let mut command = Command::new(program);
    command.arg("echo").stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("can't run {}", program.display()))?;
    let output = child.stdout.take().context("the echo server has no standard output")?;
    let mut url = String::new();
    let line = timeout(START, BufReader::new(output).read_line(&mut url)).await;
    line.context("the echo server did not print its URL within 30 seconds")??;
    ensure!(url.starts_with("http://"), "the echo server did not start: {url}");

    let endpoint = Rc::new(Endpoint::resolve(url.trim()).await?);
    let contents = Rc::new(Contents::new(args.size as usize));
    let mut ready = Vec::new();
    for id in 0..u32::try_from(clients)? {
        let mut ledger = Ledger::default();
        let device = Device { token: "none".to_owned(), mailbox: ledger.add_mailbox() };
        let account = Rc::new(Account { name: "recipient".to_owned(), devices: vec![device] });
        let ledger = Rc::new(ledger.into());
        let sender = Sender::connect(&endpoint, &account, id, contents.clone(), ledger).await?;
        ready.push(Client { sender, recipient: [account] });
    }
    let processes = Processes { server: child.id(), ..Processes::default() };
    let (measured, _) = closed_loop::run(processes, ready, SECONDS.min(args.seconds.into())).await?;
    let subject = Subject::new(super::ECHO, "", "requests", "from a request to its response").clients(clients);
    let peak = child.id().and_then(measure::peak_mib);
    child.kill().await.context("can't end the echo server")?;
    let sample = Sample::new(subject, measured.operations, &measured.usage, measured.latencies);
    Ok(sample.with(Figure::PeakMemory, peak))
}
