//! The black-box sanity suite: what a client relies on, checked over HTTP alone.
//!
//! Each check makes users of its own, so that it passes on a fresh server and on one that has been running for long.

mod classic;
mod client;
mod operations;
mod v1;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream;

use self::client::Client;
use crate::{Backend, TestDatabase, TestServer};

/// What is checked.
#[derive(Debug, Clone)]
pub enum Target {
    /// Fresh servers for each check, on one database, asked in turn.
    Fresh {
        /// Which database.
        backend: Backend,
        /// How many servers.
        replicas: usize,
    },
    /// Running servers on one database, by their URLs, asked in turn.
    Running(Vec<String>),
}

/// One thing that a client relies on.
#[derive(Clone, Copy)]
pub struct Check {
    /// What it is, in `snake_case` behind the topic.
    pub name: &'static str,
    check: fn(Client) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl Check {
    /// Checks it.
    ///
    /// # Errors
    ///
    /// Where it does not hold, with what was seen instead, or where there is no server.
    pub async fn run(&self, target: &Target) -> anyhow::Result<()> {
        match target {
            Target::Fresh { backend, replicas } => {
                let database = Arc::new(TestDatabase::create(*backend).await?);
                let servers = try_join_all((0..*replicas).map(|_| TestServer::start_on(database.clone(), 0))).await?;
                (self.check)(Client::new(servers.iter().map(TestServer::url))?).await
            }
            Target::Running(urls) => (self.check)(Client::new(urls.iter().map(String::as_str))?).await,
        }
    }
}

/// How many checks run at once.
const AT_ONCE: usize = 4;

/// Runs all checks, gives a line for each to `print` and one with the totals at the end, and returns how many failed.
pub async fn run(target: &Target, mut print: impl FnMut(String)) -> usize {
    let checks = checks();
    let total = checks.len();
    let mut outcomes = stream::iter(checks)
        .map(async |check| {
            let start = Instant::now();
            (check.name, check.run(target).await.context(check.name), start.elapsed().as_millis())
        })
        .buffered(AT_ONCE);
    let mut failed = 0;
    while let Some((name, outcome, millis)) = outcomes.next().await {
        match outcome {
            Ok(()) => print(format!("ok      {name} ({millis} ms)")),
            Err(error) => {
                failed += 1;
                print(format!("FAILED  {name} ({millis} ms)\n        {:#}", error.root_cause()));
            }
        }
    }
    print(format!("{} passed, {failed} failed", total - failed));
    failed
}

/// Names each check after the function that does it, behind the prefix and the topic.
macro_rules! suite {
    ($prefix:literal; $($topic:ident: $($check:ident),+;)+) => {
        vec![$($($crate::sanity::Check {
            name: concat!($prefix, stringify!($topic), "::", stringify!($check)),
            check: |client| Box::pin($topic::$check(client)),
        }),+),+]
    };
}
use suite;

/// The whole suite.
pub fn checks() -> Vec<Check> {
    let operations = suite! { "";
        operations:
            the_server_is_alive_and_ready,
            the_document_is_the_same_in_all_forms,
            the_documentation_loads_nothing_from_elsewhere,
            every_answer_has_a_request_id;
    };
    [classic::checks(), v1::checks(), operations].concat()
}
