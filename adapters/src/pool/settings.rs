//! The settings of a connection to Postgres. They are set and verified with SQL, because some connection poolers, such
//! as PgBouncer, drop the options with which a client starts a connection.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use super::deadline::within;
use crate::transient::ReadOnly;

/// Maximum duration of opening a connection, and of each step that prepares the connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How many times [`ensure_sessions`] checks whether a pooler has moved a connection to another session.
const PROBES: usize = 8;

/// What the settings of a Postgres server have to guarantee.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Requirements {
    /// Whether to accept a server that can lose committed transactions when its machine crashes.
    pub(crate) allow_fsync_off: bool,
}

/// A setting does not have the required value.
#[derive(Debug, thiserror::Error)]
#[error("{setting} is {value}, but has to be {required}: {remedy}")]
pub(crate) struct SettingError {
    setting: String,
    value: String,
    required: &'static str,
    remedy: &'static str,
}

/// Statements that set the settings of a Postgres session: settings that the delivery contract depends on, and time
/// limits. What they achieve, in the order of the statements:
///
/// - Postgres confirms a commit only after the commit is on the disk (D1). If `synchronous_commit` is `remote_apply`,
///   it stays so, because this value guarantees more than `on`.
/// - A statement sees everything that was committed before the statement started (D3, D4).
/// - Text is UTF-8.
/// - A replica that stalls or dies in a transaction does not hold its locks for long. Postgres ends a slow statement
///   before Woosh's own deadline for writes passes, so that the connection stays usable.
/// - Every statement should be a few index lookups. Without the last settings, Postgres would read whole tables if the
///   statistics of the tables are missing or old, or would make a new plan each time it runs a statement.
const SET: &str = "
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply';
SET default_transaction_isolation = 'read committed';
SET client_encoding = 'UTF8';
SET statement_timeout = '8s';
SET idle_in_transaction_session_timeout = '10s';
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off";

/// Removes the time limits, and those settings of [`SET`] that suit only short statements. A migration reads whole
/// tables, and takes as long as it needs.
const SET_TO_MIGRATE: &str = "
SET statement_timeout = 0;
SET lock_timeout = 0;
RESET plan_cache_mode;
RESET enable_seqscan;
RESET enable_hashjoin;
RESET enable_mergejoin;
RESET jit";

const VERIFY: &str = "
SELECT name, current_setting(name) FROM (VALUES
    ('server_encoding'), ('client_encoding'), ('fsync'), ('full_page_writes'), ('synchronous_commit'),
    ('default_transaction_isolation'), ('statement_timeout'), ('idle_in_transaction_session_timeout'),
    ('transaction_read_only')
) AS verified (name)";

const ALLOW: &str = "change it in the configuration of the server, or accept with --allow-fsync-off true that messages can be \
                     lost when its machine crashes";
const POOLER: &str = "Woosh sets it, but something between Woosh and Postgres resets it; a pooler has to pool \
                      sessions";

/// Opens a connection.
pub(crate) async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    within(CONNECT_TIMEOUT, options.connect()).await
}

/// Sets the settings of a connection. Verifies them in a second transaction, because a pooler may reset settings
/// between transactions.
pub(crate) async fn apply(connection: &mut PgConnection, requirements: Requirements) -> sqlx::Result<()> {
    let settings: Vec<(String, String)> = within(CONNECT_TIMEOUT, async {
        sqlx::raw_sql(SET).execute(&mut *connection).await?;
        let rows = sqlx::raw_sql(VERIFY).fetch_all(connection).await?;
        rows.iter().map(sqlx::FromRow::from_row).collect()
    })
    .await?;
    settings.into_iter().try_for_each(|(setting, value)| verify(setting, value, requirements))
}

fn verify(setting: String, value: String, requirements: Requirements) -> sqlx::Result<()> {
    let (required, remedy) = match setting.as_str() {
        "transaction_read_only" if value == "off" => return Ok(()),
        "transaction_read_only" => return Err(sqlx::Error::Configuration(ReadOnly.into())),
        "fsync" | "full_page_writes" if requirements.allow_fsync_off => return Ok(()),
        "fsync" | "full_page_writes" => ("on", ALLOW),
        "server_encoding" => ("UTF8", "create the database with ENCODING 'UTF8' TEMPLATE template0"),
        "client_encoding" => ("UTF8", POOLER),
        "synchronous_commit" if value == "remote_apply" => return Ok(()),
        "synchronous_commit" => ("on", POOLER),
        "default_transaction_isolation" => ("read committed", POOLER),
        "statement_timeout" => ("8s", POOLER),
        "idle_in_transaction_session_timeout" => ("10s", POOLER),
        _ => return Ok(()),
    };
    if value == required {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(SettingError { setting, value, required, remedy }.into()))
}

/// Prepares a connection for migrations: its statements may take as long as they need, and may read whole tables.
pub(crate) async fn prepare_to_migrate(connection: &mut PgConnection) -> sqlx::Result<()> {
    within(CONNECT_TIMEOUT, async {
        sqlx::raw_sql(SET_TO_MIGRATE).execute(connection).await?;
        Ok(())
    })
    .await
}

/// Verifies that each of two connections keeps its Postgres session between transactions. This fails behind a pooler
/// that assigns sessions to transactions instead of connections. Such a pooler runs both connections in the same
/// session, or moves a connection to another session while the other connection is in a transaction.
pub(crate) async fn ensure_sessions(first: &mut PgConnection, second: &mut PgConnection) -> sqlx::Result<()> {
    let kept = within(CONNECT_TIMEOUT, async {
        let before = process(first).await?;
        sqlx::raw_sql("BEGIN").execute(&mut *second).await?;
        let mut kept = process(second).await? != before;
        for _ in 0..PROBES {
            kept = kept && process(first).await? == before;
        }
        sqlx::raw_sql("ROLLBACK").execute(second).await?;
        Ok::<_, sqlx::Error>(kept)
    });
    if kept.await? {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(
        SettingError {
            setting: "the mode of the pooler".to_owned(),
            value: "transaction pooling".to_owned(),
            required: "session pooling",
            remedy: "set pool_mode = session in PgBouncer, use the pooler's port for sessions, or connect to Postgres directly",
        }
        .into(),
    ))
}

/// Returns the identifier of the Postgres process that serves a connection. Each session has its own process.
async fn process(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::Row::try_get(&sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?, 0)
}
