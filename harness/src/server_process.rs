use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdin, Command};

use crate::TestDatabase;

/// A server that is a process of its own, so that it can be killed while its database stays.
///
/// It goes with this value, and also where this process is killed before.
pub struct ServerProcess {
    program: PathBuf,
    running: Option<Running>,
    /// Bound, and never listened on: nobody else gets the port while the server is dead.
    _port: TcpSocket,
    address: SocketAddr,
    // Dropped after the server was killed.
    database: Arc<TestDatabase>,
}

struct Running {
    child: Child,
    /// The server ends when this closes, for whatever reason.
    _lifeline: ChildStdin,
    output: File,
}

/// How long a server may take until it is ready.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to leave off between two questions whether it is.
const PAUSE: Duration = Duration::from_millis(5);

impl ServerProcess {
    /// Starts a server on a database, which others may use as well, and on a port of 127.0.0.1, where 0 is any free one.
    /// `program` is the harness's binary. The server is ready when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started, with what it has put out.
    pub async fn start(program: &Path, database: Arc<TestDatabase>, port: u16) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).with_context(|| format!("no port {port}"))?;
        let address = socket.local_addr()?;
        let mut server = Self { program: program.to_owned(), running: None, _port: socket, address, database };
        server.restart().await?;
        Ok(server)
    }

    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Kills it with SIGKILL, where it runs. It is gone when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill().await.context("the server can't be killed")?;
        }
        Ok(())
    }

    /// Asks it with SIGTERM to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// Where it does not run, or can't be asked.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        let mut running = self.running.take().context("the server does not run")?;
        let pid = running.child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        kill_process(pid.context("the server has ended")?, Signal::TERM)?;
        Ok(running.child.wait().await?)
    }

    /// Starts it again on the same database and the same port, having killed it where it runs. It is ready when this
    /// returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started, with what it has put out.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let output = tempfile::tempfile()?;
        let mut child = Command::new(&self.program)
            .args(["serve", "--host", "127.0.0.1", "--port", &self.address.port().to_string(), "--log", "warn"])
            // Not as an argument, which everybody can read: it may hold a password.
            .env("WOOSH_DATABASE", self.database.secret_url())
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} can't be run", self.program.display()))?;
        let lifeline = child.stdin.take().context("the server has no standard input")?;
        let mut running = Running { child, _lifeline: lifeline, output };
        running.wait_until_ready(&self.url()).await?;
        self.running = Some(running);
        Ok(())
    }
}

impl Running {
    async fn wait_until_ready(&mut self, url: &str) -> anyhow::Result<()> {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let start = Instant::now();
        loop {
            let answer = client.get(format!("{url}/health/ready")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended at the start with {status}: {}", self.said()?);
            }
            let waited = start.elapsed();
            ensure!(waited < PATIENCE, "the server is not ready after {waited:.0?}: {}", self.said()?);
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn said(&mut self) -> anyhow::Result<String> {
        let mut text = Vec::new();
        self.output.rewind()?;
        self.output.read_to_end(&mut text)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }
}
