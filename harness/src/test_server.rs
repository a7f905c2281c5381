use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use woosh_server::server::{Config, Limits, Server};

use crate::{Backend, TestDatabase, client};

/// A fresh server in this process. Dropping this value stops the server. Dropping the last server of a database deletes
/// the database.
///
/// The server is the same as the one that the binary starts. It has its own thread, so that a blocking test does not
/// block the server.
pub struct TestServer {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // The field order matters: the database is dropped after the server has stopped.
    database: Arc<TestDatabase>,
}

impl TestServer {
    /// Starts a server on a fresh database and a free port. When this method returns, the server is ready.
    ///
    /// # Errors
    ///
    /// If the server can't be started.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        Self::start_on(TestDatabase::create(backend).await?.into(), 0).await
    }

    /// Starts a server on a database, which other servers may share, and on a port of 127.0.0.1. Port 0 selects a free
    /// port. When this method returns, the server is ready.
    ///
    /// # Errors
    ///
    /// If the server can't be started, for example because the port is in use.
    pub async fn start_on(database: Arc<TestDatabase>, port: u16) -> anyhow::Result<Self> {
        Self::start_with(database, port, Limits::default()).await
    }

    /// Starts a server like [`Self::start_on`], but with other limits, to test how a client handles these limits.
    ///
    /// # Errors
    ///
    /// If the server can't be started, for example because the port is in use.
    pub async fn start_with(database: Arc<TestDatabase>, port: u16, limits: Limits) -> anyhow::Result<Self> {
        let config = Config {
            host: "127.0.0.1".to_owned(),
            port,
            database: database.url().clone(),
            database_wait: Duration::ZERO,
            limits,
            // A test that drops its server does not wait for responses.
            grace: Duration::ZERO,
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("woosh-server".to_owned())
            .spawn(move || run(&config, ready, stopped))
            .context("can't start a thread for a test server")?;
        // If the start fails, dropping `server` joins the thread.
        let mut server = Self { url: String::new(), stop: Some(stop), thread: Some(thread), database };
        server.url = started.await.context("the thread of a test server panicked")??;
        Ok(server)
    }

    /// Returns the URL, without a trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the kind of database.
    pub fn backend(&self) -> Backend {
        self.database.backend()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server was printed to standard error.
            let _ = thread.join();
        }
    }
}

/// Serves on this thread until `stopped` completes.
fn run(config: &Config, ready: oneshot::Sender<anyhow::Result<String>>, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("can't start a runtime for a test server"));
            return;
        }
    };
    runtime.block_on(async {
        let server = match Server::bind(config).await {
            Ok(server) => server,
            Err(error) => {
                let _ = ready.send(Err(error).context("a test server can't start"));
                return;
            }
        };
        let url = format!("http://{}", server.address());
        let probe = async {
            let outcome = probe(&url).await.context("a test server is not ready");
            // The receiver is gone if the start was cancelled.
            let _ = ready.send(outcome.map(|()| url.clone()));
        };
        let stop = async {
            // Completes when the sender is dropped.
            let _ = stopped.await;
        };
        let (served, ()) = tokio::join!(server.run_until(stop), probe);
        if let Err(error) = served {
            eprintln!("woosh-harness: a test server failed: {error}");
        }
    });
}

/// Checks that the server is ready. One request is enough: the port is already open, so the request waits until the
/// server serves it.
async fn probe(url: &str) -> reqwest::Result<()> {
    let client = client::http(Duration::from_secs(30))?;
    client.get(format!("{url}/health/ready")).send().await?.error_for_status()?;
    Ok(())
}
