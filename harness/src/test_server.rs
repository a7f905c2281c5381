use std::io;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use woosh_server::server::{Config, Server, StartError};

use crate::Backend;
use crate::scratch::Scratch;

/// A fresh server with data of its own. Both go when it is dropped.
///
/// It is the server that the binary starts, on a thread of its own: it answers whatever the test's own threads and
/// runtime do.
pub struct TestServer {
    url: String,
    backend: Backend,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    // Dropped after the server has stopped.
    _scratch: Scratch,
}

/// Why there is no fresh server.
#[derive(Debug)]
pub enum TestServerError {
    /// There is no place for its data, or no thread for it.
    System(io::Error),
    /// It did not start.
    Start(StartError),
    /// It started and does not answer.
    Silent(String),
}

impl std::fmt::Display for TestServerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(cause) => write!(f, "no place for a test server: {cause}"),
            Self::Start(cause) => write!(f, "the test server did not start: {cause}"),
            Self::Silent(cause) => write!(f, "the test server does not answer: {cause}"),
        }
    }
}

impl std::error::Error for TestServerError {}

impl TestServer {
    /// Starts a fresh server on a free port. It answers when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started.
    pub async fn start(backend: Backend) -> Result<Self, TestServerError> {
        Self::start_on(backend, 0).await
    }

    /// Starts a fresh server on a port of 127.0.0.1. It answers when this returns.
    ///
    /// # Errors
    ///
    /// Where it can't be started, for one because the port is in use.
    pub async fn start_on(backend: Backend, port: u16) -> Result<Self, TestServerError> {
        let scratch = Scratch::new().map_err(TestServerError::System)?;
        let file = scratch.path().join("woosh.db");
        let database = format!("sqlite:{}", file.display()).parse().map_err(|_| {
            TestServerError::System(io::Error::other("the folder for temporary files can't be part of a URL"))
        })?;
        // Who drops a test server no longer waits for its answers.
        let config = Config { host: "127.0.0.1".to_owned(), port, database, grace: Duration::ZERO };

        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("woosh-server".to_owned())
            .spawn(move || run(&config, ready, stopped))
            .map_err(TestServerError::System)?;
        // Where this fails below, dropping the server waits for the thread.
        let mut server =
            Self { url: String::new(), backend, stop: Some(stop), thread: Some(thread), _scratch: scratch };
        let silent = |_| TestServerError::Silent("its thread ended".to_owned());
        server.url = started.await.map_err(silent)??;
        Ok(server)
    }

    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Which database it keeps its data in.
    pub fn backend(&self) -> Backend {
        self.backend
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
fn run(config: &Config, ready: oneshot::Sender<Result<String, TestServerError>>, stopped: oneshot::Receiver<()>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(TestServerError::System(error)));
            return;
        }
    };
    runtime.block_on(async {
        let server = match Server::bind(config).await {
            Ok(server) => server,
            Err(error) => {
                let _ = ready.send(Err(TestServerError::Start(error)));
                return;
            }
        };
        let url = format!("http://{}", server.address());
        let probe = async {
            let answer = probe(&url).await.map_err(|error| TestServerError::Silent(format!("{error:#}")));
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
