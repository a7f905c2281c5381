use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::oneshot;
use woosh_server::server::{Config, Limits, Server};

use crate::{Backend, TestDatabase};

/// A fresh server with data of its own. Both go when it is dropped.
///
/// It is the server that the binary starts, on a thread of its own: it answers whatever the test's own threads and
/// runtime do.
pub struct TestServer {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Dropped after the server has stopped.
    database: Arc<TestDatabase>,
}

impl TestServer {
    /// Starts a fresh server on a free port. It answers when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started.
    pub async fn start(backend: Backend) -> anyhow::Result<Self> {
        Self::start_on(TestDatabase::create(backend).await?.into(), 0).await
    }

    /// Starts a server on a database, which others may use as well, and on a port of 127.0.0.1, where 0 is any free one.
    /// It answers when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started, for one because the port is in use.
    pub async fn start_on(database: Arc<TestDatabase>, port: u16) -> anyhow::Result<Self> {
        Self::start_with(database, port, Limits::default()).await
    }

    /// Starts a server like [`Self::start_on`], with limits of its own, to test what a client does when it meets them.
    ///
    /// # Errors
    ///
    /// Where it can't be started, for one because the port is in use.
    pub async fn start_with(database: Arc<TestDatabase>, port: u16, limits: Limits) -> anyhow::Result<Self> {
        let config = Config {
            host: "127.0.0.1".to_owned(),
            port,
            database: database.url().clone(),
            database_wait: Duration::ZERO,
            limits,
            // Who drops a test server no longer waits for its answers.
            grace: Duration::ZERO,
        };
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("woosh-server".to_owned())
            .spawn(move || run(&config, ready, stopped))
            .context("no thread for a test server")?;
        // Where this fails below, dropping the server waits for the thread.
        let mut server = Self { url: String::new(), stop: Some(stop), thread: Some(thread), database };
        server.url = started.await.context("the thread of a test server ended")??;
        Ok(server)
    }

    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which database it keeps its data in.
    pub fn backend(&self) -> Backend {
        self.database.backend()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been seen on standard error.
            let _ = thread.join();
        }
    }
}

/// Serves on this thread until `stopped`.
fn run(config: &Config, ready: oneshot::Sender<anyhow::Result<String>>, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("no runtime for a test server"));
            return;
        }
    };
    runtime.block_on(async {
        let server = match Server::bind(config).await {
            Ok(server) => server,
            Err(error) => {
                let _ = ready.send(Err(error).context("a test server did not start"));
                return;
            }
        };
        let url = format!("http://{}", server.address());
        let probe = async {
            let answer = probe(&url).await.context("a test server does not answer");
            // Nobody waits any more where the start was given up.
            let _ = ready.send(answer.map(|()| url.clone()));
        };
        let stop = async {
            // The other end is dropped, never sent to.
            let _ = stopped.await;
        };
        let (served, ()) = tokio::join!(server.run_until(stop), probe);
        if let Err(error) = served {
            eprintln!("woosh-harness: a test server ended: {error}");
        }
    });
}

/// Asks a server once whether it is ready. It listens already, so it answers as soon as it serves.
async fn probe(url: &str) -> reqwest::Result<()> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build()?;
    client.get(format!("{url}/health/ready")).send().await?.error_for_status()?;
    Ok(())
}
