//! Where a Postgres for tests comes from: the first of `WOOSH_TEST_POSTGRES_URL`, a Docker engine, and the programs of
//! this machine.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use sqlx::postgres::PgConnectOptions;

use super::docker::Container;
use super::local::{self, LocalServer};

/// A server that databases can be made on, for as long as this value lives.
pub(super) struct Server {
    /// How to connect to it as somebody who may make databases.
    pub(super) admin: PgConnectOptions,
    /// Where it comes from, for people.
    pub(super) origin: String,
    _guard: Guard,
}

enum Guard {
    None,
    Container { _container: Box<Container> },
    Local { _server: LocalServer },
}

/// A rung of the ladder that may hold.
enum Rung {
    Url(String),
    Docker,
    Local(PathBuf),
}

const URL: &str = "WOOSH_TEST_POSTGRES_URL";

/// The rungs that may hold, best first.
fn rungs() -> Vec<Rung> {
    if let Some(url) = std::env::var(URL).ok().filter(|url| !url.is_empty()) {
        // Who names a server wants that one and no other.
        return vec![Rung::Url(url)];
    }
    let docker = docker_answers().then_some(Rung::Docker);
    docker.into_iter().chain(local::programs().map(Rung::Local)).collect()
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

/// Finds out in milliseconds whether there may be a Postgres.
///
/// # Errors
///
/// Where there is none, with what was looked for.
pub fn probe() -> Result<(), String> {
    if rungs().is_empty() {
        return Err(format!("no {URL}, no Docker engine, and no postgres and initdb on this machine"));
    }
    Ok(())
}

impl Server {
    /// Gets a server from the first rung that holds.
    pub(super) async fn get() -> anyhow::Result<Self> {
        let mut failures = Vec::new();
        for rung in rungs() {
            match Self::on(rung).await {
                Ok(server) => return Ok(server),
                Err(error) => failures.push(format!("{error:#}")),
            }
        }
        probe().map_err(anyhow::Error::msg)?;
        bail!(failures.join("; "))
    }

    async fn on(rung: Rung) -> anyhow::Result<Self> {
        Ok(match rung {
            Rung::Url(url) => Self {
                admin: url.parse().ok().with_context(|| format!("{URL} is not the URL of a Postgres database"))?,
                origin: URL.to_owned(),
                _guard: Guard::None,
            },
            Rung::Docker => {
                let container = Container::start().await.context("Docker")?;
                let admin = container.admin();
                Self {
                    admin,
                    origin: "Docker".to_owned(),
                    _guard: Guard::Container { _container: Box::new(container) },
                }
            }
            Rung::Local(programs) => {
                let origin = format!("the programs in {}", programs.display());
                let server = LocalServer::start(&programs).await.with_context(|| origin.clone())?;
                Self { admin: server.admin(), origin, _guard: Guard::Local { _server: server } }
            }
        })
    }
}
