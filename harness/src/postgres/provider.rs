//! Selects the Postgres server for tests: the server at `WOOSH_TEST_POSTGRES_URL`, or else a container, or else the
//! Postgres programs of this machine.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use sqlx::postgres::PgConnectOptions;

use super::docker::Container;
use super::durability::Durability;
use super::local::{self, LocalServer};

/// A Postgres server. Databases can be created on the server until this value is dropped.
pub(super) struct Server {
    /// The options to connect as a Postgres role that may create databases.
    pub(super) admin: PgConnectOptions,
    /// A text for messages that says where the server is from, such as `Docker`.
    pub(super) origin: String,
    _guard: Guard,
}

/// Keeps the server running. Dropping this value stops the server, except for an `External` server, which the harness
/// did not start.
enum Guard {
    External,
    Container { _container: Box<Container> },
    Local { _server: LocalServer },
}

/// A way to obtain a Postgres server: an existing server at a URL, Docker, or the Postgres programs of this machine. An
/// attempt may fail.
enum Provider {
    Url(String),
    Docker,
    Local(PathBuf),
}

const URL: &str = "WOOSH_TEST_POSTGRES_URL";

/// Returns ways to obtain a Postgres server, in order of preference. Leaves out ways that can't work, such as Docker if
/// no Docker engine answers.
fn providers() -> Vec<Provider> {
    if let Some(url) = std::env::var(URL).ok().filter(|url| !url.is_empty()) {
        // If the variable is set, the harness tries no other provider.
        return vec![Provider::Url(url)];
    }
    let docker = docker_answers().then_some(Provider::Docker);
    docker.into_iter().chain(local::programs().map(Provider::Local)).collect()
}

fn docker_answers() -> bool {
    match std::env::var("DOCKER_HOST") {
        Ok(host) => match host.split_once("://") {
            Some(("unix", path)) => UnixStream::connect(path).is_ok(),
            Some(("tcp", address)) => TcpStream::connect(address).is_ok(),
            _ => false,
        },
        Err(_) => UnixStream::connect("/var/run/docker.sock").is_ok(),
    }
}

/// Checks whether there seems to be a way to obtain a Postgres server: a URL, Docker, or Postgres programs on this
/// machine. Takes milliseconds, because it starts nothing.
///
/// # Errors
///
/// If there is no such way. The error says why.
pub fn probe() -> Result<(), String> {
    if providers().is_empty() {
        return Err(format!("no {URL}, no Docker engine, and no postgres and initdb on this machine"));
    }
    Ok(())
}

/// Returns whether the Postgres programs of this machine are the preferred way to obtain a Postgres server. If so, a
/// durable server stores its data in the folder for temporary files of this machine.
pub(crate) fn is_local() -> bool {
    matches!(providers().first(), Some(Provider::Local(_)))
}

impl Server {
    /// Obtains a server in the first way that works: at a URL, in Docker, or with the Postgres programs of this
    /// machine.
    pub(super) async fn start(durability: Durability) -> anyhow::Result<Self> {
        let mut failures = Vec::new();
        for provider in providers() {
            match Self::start_with(provider, durability).await {
                Ok(server) => return Ok(server),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        probe().map_err(anyhow::Error::msg)?;
        bail!(failures.join("; "))
    }

    async fn start_with(provider: Provider, durability: Durability) -> anyhow::Result<Self> {
        Ok(match provider {
            Provider::Url(url) => Self {
                admin: url.parse().ok().with_context(|| format!("{URL} is not the URL of a Postgres database"))?,
                origin: URL.to_owned(),
                _guard: Guard::External,
            },
            Provider::Docker => {
                let container = Container::start(durability).await.context("Docker")?;
                let admin = container.admin();
                Self {
                    admin,
                    origin: "Docker".to_owned(),
                    _guard: Guard::Container { _container: Box::new(container) },
                }
            }
            Provider::Local(programs) => {
                let origin = format!("the programs in {}", programs.display());
                let server = LocalServer::start(&programs, durability).await.with_context(|| origin.clone())?;
                Self { admin: server.admin(), origin, _guard: Guard::Local { _server: server } }
            }
        })
    }
}
