use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use woosh_server::server::{Config, CorsOrigins, Limits, Server};

use crate::{Backend, TestDatabase, client};

/// A server in this process, for tests. Dropping this value stops the server. A database is deleted when its last
/// server is dropped.
///
/// The server runs the same code as the binary `woosh-server`. It runs on a thread of its own, so that a test that
/// blocks its thread does not block the server.
pub struct TestServer {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // The field order matters: the database is dropped after the server has stopped.
    database: Arc<TestDatabase>,
}

impl TestServer {
    /// Starts a server on a fresh database and a free port, and waits until it is ready.
    ///
    /// # Errors
    ///
    /// If the server can't be started.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        Self::start_on(TestDatabase::create(backend).await?.into(), 0).await
    }

    /// Starts a server, and waits until it is ready. Other servers may use the same database. The server listens on
    /// `port` of 127.0.0.1; port 0 selects a free port.
    ///
    /// # Errors
    ///
    /// If the server can't be started, for example because the port is in use.
    pub async fn start_on(database: Arc<TestDatabase>, port: u16) -> anyhow::Result<Self> {
        Self::start_with(database, port, Limits::default()).await
    }

    /// Starts a server like [`Self::start_on`], but with the given limits. For tests of clients that reach a limit.
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
            cors_origins: CorsOrigins::default(),
            // A test that drops its server does not wait until requests in flight finish.
            grace: Duration::ZERO,
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("woosh-server".to_owned())
            .spawn(move || run(&config, ready, stopped))
            .context("can't start a thread for a test server")?;
        // Created before the start is complete: if the start fails, dropping `server` joins the thread.
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
            // Ignores a panic of the server, because it was printed to standard error.
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
            // Ignores an error, which means that the caller has cancelled the start.
            let _ = ready.send(outcome.map(|()| url.clone()));
        };
        let stop = async {
            // Completes with an error when `TestServer` is dropped, because that drops the sender.
            let _ = stopped.await;
        };
        let (served, ()) = tokio::join!(server.run_until(stop), probe);
        if let Err(error) = served {
            eprintln!("woosh-harness: a test server failed: {error}");
        }
    });
}

/// Checks that the server is ready. A single request is enough, because the port is already open: the request waits
/// until the server responds.
async fn probe(url: &str) -> reqwest::Result<()> {
    let client = client::http(Duration::from_secs(30))?;
    client.get(format!("{url}/health/ready")).send().await?.error_for_status()?;
    Ok(())
}
