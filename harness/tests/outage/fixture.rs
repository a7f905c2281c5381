use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use tokio::time::sleep;
use woosh_harness::client::{self, Device};
use woosh_harness::{Backend, TestDatabase};
use woosh_server::database::DatabaseUrl;
use woosh_server::server::{Config, CorsOrigins, Limits, Server, StartError};

/// Connects a server to its database, and binds its port.
pub(crate) async fn bind(database: DatabaseUrl, database_wait: Duration) -> Result<Server, StartError> {
    let host = "127.0.0.1".to_owned();
    let config = Config {
        host,
        port: 0,
        database,
        database_wait,
        limits: Limits::default(),
        cors_origins: CorsOrigins::default(),
        grace: Duration::ZERO,
    };
    Server::bind(&config).await
}

/// Starts a server that runs until the process ends. Returns its URL.
pub(crate) async fn start(database: DatabaseUrl) -> anyhow::Result<String> {
    let server = bind(database, Duration::ZERO).await?;
    let url = format!("http://{}", server.address());
    tokio::spawn(server.run_until(std::future::pending()));
    Ok(url)
}

/// A server, a client of it, and the users Alice and Bob.
pub(crate) struct Fixture {
    pub(crate) url: String,
    pub(crate) alice: Device,
    pub(crate) bob: Device,
    client: Client,
}

impl Fixture {
    pub(crate) async fn start(database: DatabaseUrl) -> anyhow::Result<Self> {
        let url = start(database).await?;
        let (alice, bob) = (Device::register(&url, "alice").await?, Device::register(&url, "bob").await?);
        Ok(Self { url, alice, bob, client: client::http(Duration::from_secs(60))? })
    }

    /// Sends a message from Alice to Bob.
    pub(crate) async fn send(&self, contents: &str) -> Response {
        self.alice.send_request(&["bob"], contents).send().await.unwrap()
    }

    /// Reads Bob's mailbox.
    pub(crate) async fn read(&self) -> Response {
        self.bob.page_request("").send().await.unwrap()
    }

    pub(crate) async fn is_ready(&self) -> bool {
        self.is_healthy("ready").await
    }

    pub(crate) async fn is_alive(&self) -> bool {
        self.is_healthy("live").await
    }

    /// Returns true if a health check returns 200, and false if it returns 503 with `Retry-After`. Panics on any other
    /// response.
    async fn is_healthy(&self, check: &str) -> bool {
        let response = self.client.get(format!("{}/health/{check}", self.url)).send().await.unwrap();
        if response.status() != StatusCode::OK {
            assert_unavailable(&response);
        }
        response.status() == StatusCode::OK
    }

    /// Waits until `is_ready` returns `ready`. Returns how long this took. This may be up to a second too long, because
    /// the server checks at most once a second, and gives the same answer in between.
    pub(crate) async fn becomes_ready(&self, ready: bool, limit: Duration) -> Duration {
        let start = Instant::now();
        while self.is_ready().await != ready {
            assert!(start.elapsed() < limit, "is ready = {} after {limit:?}", !ready);
            sleep(Duration::from_millis(20)).await;
        }
        start.elapsed()
    }

    /// Sends and reads repeatedly, until a send and the read after it both succeed. Returns how long this took, and how
    /// many requests were refused. Panics if a response is neither a success nor a 503 with `Retry-After`. Also panics
    /// if this takes longer than `limit`.
    pub(crate) async fn recover(&self, limit: Duration) -> (Duration, usize) {
        let (start, mut refused) = (Instant::now(), 0);
        loop {
            let (sent, read) = (self.send("again").await, self.read().await);
            let failed: Vec<_> = [sent, read].into_iter().filter(|reply| !reply.status().is_success()).collect();
            if failed.is_empty() {
                return (start.elapsed(), refused);
            }
            refused += failed.len();
            failed.iter().for_each(assert_unavailable);
            assert!(start.elapsed() < limit, "not served after {limit:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Panics unless a response is a 503 with `Retry-After`.
pub(crate) fn assert_unavailable(response: &Response) {
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
}

pub(crate) async fn database() -> anyhow::Result<TestDatabase> {
    TestDatabase::create(Backend::Postgres).await
}
