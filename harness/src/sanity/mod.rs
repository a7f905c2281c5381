//! The sanity suite: checks of a server that use only its HTTP API.
//!
//! Each check registers its own users. So it passes on a fresh server and on a server with data, and checks can run
//! concurrently.

mod classic;
mod operations;
mod v1;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream;

use crate::client::Client;
use crate::{Backend, TestDatabase, TestServer};

/// The servers to check.
#[derive(Debug, Clone)]
pub enum Target {
    /// Each check starts fresh servers on a fresh database, and sends its requests to these servers in turn.
    Fresh {
        /// The kind of database.
        backend: Backend,
        /// The number of servers.
        replicas: usize,
    },
    /// The URLs of running servers that share a database. The checks send their requests to these servers in turn.
    Running(Vec<String>),
}

/// One check.
#[derive(Clone, Copy)]
pub struct Check {
    /// The API, the topic, and the behaviour that the check expects, such as
    /// `v1::stream::events_carry_the_messages_in_order`.
    pub name: &'static str,
    check: fn(Client) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl Check {
    /// Runs the check.
    ///
    /// # Errors
    ///
    /// If the server does not behave as expected, or can't be started.
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

/// Maximum number of checks that run concurrently.
const CONCURRENT: usize = 4;

/// Runs all checks. Calls `print` with a line for each check, then with a line of totals. Returns the number of failed
/// checks.
pub async fn run(target: &Target, mut print: impl FnMut(String)) -> usize {
    let checks = checks();
    let total = checks.len();
    let mut outcomes = stream::iter(checks)
        .map(async |check| {
            let start = Instant::now();
            (check.name, check.run(target).await.context(check.name), start.elapsed().as_millis())
        })
        .buffered(CONCURRENT);
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

/// Expands to a list of checks. The name of a check consists of `$prefix`, the topic (the name of its module), `::`,
/// and the name of its function.
macro_rules! suite {
    ($prefix:literal; $($topic:ident: $($check:ident),+;)+) => {
        vec![$($($crate::sanity::Check {
            name: concat!($prefix, stringify!($topic), "::", stringify!($check)),
            check: |client| Box::pin($topic::$check(client)),
        }),+),+]
    };
}
use suite;

/// Makes the calling function return an error if two values differ. The error shows both values.
macro_rules! ensure_eq {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) => {
                anyhow::ensure!(left == right, "{} is {left:?}, expected {right:?}", stringify!($left));
            }
        }
    };
}
use ensure_eq;

/// Returns all checks.
pub fn checks() -> Vec<Check> {
    let operations = suite! { "";
        operations:
            the_server_is_alive_and_ready,
            the_document_is_the_same_in_every_format,
            the_documentation_loads_nothing_from_other_hosts,
            the_root_leads_browsers_to_the_documentation,
            responses_with_secrets_are_not_cached,
            every_response_has_a_distinct_request_id;
    };
    [classic::checks(), v1::checks(), operations].concat()
}
