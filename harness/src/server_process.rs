use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;
use tokio::process::{Child, ChildStdin, Command};

use crate::{TestDatabase, client};

/// A server in its own process, which can be killed and restarted on the same database.
///
/// The process ends when this value is dropped or the process of the harness ends, even if the harness is killed.
pub struct ServerProcess {
    program: PathBuf,
    settings: ServerSettings,
    running: Option<Running>,
    /// A socket that is bound to the port but does not listen. It reserves the port while the server is down.
    _port: TcpSocket,
    address: SocketAddr,
    // The field order matters: the database is dropped after the server was killed.
    database: Arc<TestDatabase>,
}

struct Running {
    child: Child,
    /// The standard input of the server. The server ends when this value is dropped, because that closes the pipe.
    _stdin: ChildStdin,
    output: File,
}

/// Settings of one server, in addition to those that the harness gives to every server.
#[derive(Debug, Clone, Default)]
pub(crate) struct ServerSettings {
    pub(crate) arguments: Vec<String>,
    /// Environment variables, which may replace those that the harness sets.
    pub(crate) variables: Vec<(&'static str, OsString)>,
}

/// Maximum time for a server to become ready.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between checks of whether the server is ready.
const INTERVAL: Duration = Duration::from_millis(5);

impl ServerProcess {
    /// Starts a server, and waits until it is ready. Other servers may use the same database. The server listens on
    /// `port` of 127.0.0.1; port 0 selects a free port. `program` is the binary of the harness.
    ///
    /// # Errors
    ///
    /// If the server can't be started. The error has the output of the server.
    pub async fn start(program: &Path, database: Arc<TestDatabase>, port: u16) -> anyhow::Result<Self> {
        Self::start_with(program, database, port, ServerSettings::default()).await
    }

    /// Starts a server like [`Self::start`], with additional settings.
    pub(crate) async fn start_with(
        program: &Path,
        database: Arc<TestDatabase>,
        port: u16,
        settings: ServerSettings,
    ) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], port))).with_context(|| format!("can't bind port {port}"))?;
        let address = socket.local_addr()?;
        let mut server =
            Self { program: program.to_owned(), settings, running: None, _port: socket, address, database };
        server.restart().await?;
        Ok(server)
    }

    /// Returns the URL, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the id of the process, or `None` if the server does not run.
    pub(crate) fn id(&self) -> Option<u32> {
        self.running.as_ref()?.child.id()
    }

    /// Kills the server with SIGKILL, and waits until its process has ended. Does nothing if the server does not run.
    ///
    /// # Errors
    ///
    /// If the server can't be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill().await.context("can't kill the server")?;
        }
        Ok(())
    }

    /// Sends a signal to the server.
    ///
    /// # Errors
    ///
    /// If the server does not run.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = self.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(kill_process(pid.context("the server is not running")?, signal)?)
    }

    /// Returns what the server has printed since its start: its warnings and errors.
    ///
    /// # Errors
    ///
    /// If the server is not running.
    pub(crate) fn output(&self) -> anyhow::Result<String> {
        Ok(self.running.as_ref().context("the server is not running")?.output()?)
    }

    /// Sends SIGTERM to the server and waits until it has ended.
    ///
    /// # Errors
    ///
    /// If the server does not run, or can't be signalled.
    pub async fn terminate(&mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let mut running = self.running.take().context("the server is not running")?;
        Ok(running.child.wait().await?)
    }

    /// Kills the server if it runs, starts it again on the same database and port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If the server can't be started. The error has the output of the server.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.kill().await?;
        let output = tempfile::tempfile()?;
        let mut child = Command::new(&self.program)
            .args(["serve", "--host", "127.0.0.1", "--port", &self.address.port().to_string(), "--log", "warn"])
            .args(&self.settings.arguments)
            // Passes the URL in the environment, because it may contain a password, and all users of the machine can
            // see arguments.
            .env("WOOSH_DATABASE", self.database.secret_url())
            .env("WOOSH_ALLOW_FSYNC_OFF", self.database.allows_fsync_off().to_string())
            .envs(self.settings.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't run {}", self.program.display()))?;
        let stdin = child.stdin.take().context("the server has no standard input")?;
        let mut running = Running { child, _stdin: stdin, output };
        running.wait_until_ready(&self.url()).await?;
        self.running = Some(running);
        Ok(())
    }
}

impl Running {
    async fn wait_until_ready(&mut self, url: &str) -> anyhow::Result<()> {
        let client = client::http(TIMEOUT)?;
        let start = Instant::now();
        loop {
            let response = client.get(format!("{url}/health/ready")).send().await;
            if response.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended during its start with {status}: {}", self.output()?);
            }
            let waited = start.elapsed();
            ensure!(waited < TIMEOUT, "the server is not ready after {waited:.0?}: {}", self.output()?);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn output(&self) -> io::Result<String> {
        let length = usize::try_from(self.output.metadata()?.len()).map_err(io::Error::other)?;
        let mut text = vec![0; length];
        // Moving the position would move that of the server, too.
        self.output.read_exact_at(&mut text, 0)?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }
}
