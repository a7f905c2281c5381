use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep};

use crate::store::{OpenError, SCHEMA_VERSION, is_transient, refuse_newer};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Maximum number of pooled connections of one replica, in addition to two connections for notifications. Enough to
/// keep a database with a few processors busy, and few enough that five replicas stay below the 100 connections that
/// Postgres allows by default.
const CONNECTIONS: u32 = 16;
/// Maximum time that a request waits for a connection, before it fails with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum idle time of a connection that is used without a test. A connection that was idle for longer is tested
/// first, so that no request gets a connection that a restart of the database has closed.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Idle time after which a connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// Delay between two attempts to connect.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Returns the migrations of the Postgres schema.
pub(crate) fn migrations() -> &'static Migrator {
    &MIGRATIONS
}

/// Connects to the database and migrates it. If the database is unreachable, retries until `timeout` has elapsed.
/// Returns the options with which to open further connections, and a pool.
pub(super) async fn open(
    options: &PgConnectOptions,
    location: &str,
    timeout: Duration,
) -> Result<(PgConnectOptions, PgPool), OpenError> {
    let options = options.clone().application_name("woosh-server").options([
        // A commit is on the disk before it is answered (D1), regardless of the database's default.
        ("synchronous_commit", "on"),
        // Limits how long a replica that stalls or dies in a transaction holds its locks.
        ("statement_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "30s"),
        // The best plan of every statement is a few index lookups. If table statistics were missing or outdated,
        // Postgres could choose to read whole tables, or plan a statement again for each execution.
        ("plan_cache_mode", "force_generic_plan"),
        ("enable_seqscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
        ("jit", "off"),
    ]);
    let mut connection = connect(&options, location, timeout).await?;
    check(location, &mut connection).await?;
    // Migrating takes an advisory lock: if several replicas start at once, one replica migrates and the others wait.
    MIGRATIONS.run(&mut connection).await.map_err(|error| match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => failed(location, cause),
        other => OpenError::Other { location: location.to_owned(), cause: other.into() },
    })?;
    connection.close().await.map_err(|error| failed(location, error))?;

    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // Each connection caches its prepared statements. Their number is below the default capacity of the cache, 100.
        .connect_lazy_with(options.clone());
    Ok((options, pool))
}

async fn connect(options: &PgConnectOptions, location: &str, timeout: Duration) -> Result<PgConnection, OpenError> {
    let start = Instant::now();
    loop {
        let error = match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        if !is_transient(&error) {
            return Err(failed(location, error));
        }
        let remaining = timeout.saturating_sub(start.elapsed());
        if remaining.is_zero() {
            return Err(OpenError::Unreachable {
                location: location.to_owned(),
                seconds: timeout.as_secs(),
                reason: error.to_string(),
            });
        }
        tracing::warn!(%error, "the database {location} is unreachable; retrying for {} more seconds", remaining.as_secs());
        sleep(BACK_OFF.min(remaining)).await;
    }
}

/// Refuses a database that a newer server has migrated.
async fn check(location: &str, connection: &mut PgConnection) -> Result<(), OpenError> {
    let ours: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| failed(location, error))?;
    if !ours {
        return Ok(());
    }
    let found =
        sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await.map_err(|error| failed(location, error))?;
    refuse_newer(location, found, &MIGRATIONS)
}

fn failed(location: &str, error: sqlx::Error) -> OpenError {
    OpenError::Other { location: location.to_owned(), cause: error.into() }
}
