use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::time::{Instant, sleep};

use super::{PostgresStore, is_passing};
use crate::database::OpenError;
use crate::sessions::SessionMemory;
use crate::wakeups::postgres::Exchange;

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Connections of one server, beside two for wake-ups: enough to keep a database of a few processors busy, and few enough that a handful of
/// replicas stay below the 100 that Postgres allows by default.
const CONNECTIONS: u32 = 16;
/// How long a request waits for a connection before it is told to come back later.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection that was idle for this long is tried before it is used, so that no request meets the ones that died with
/// a restart of the database.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// Connections that are used no more are given back after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long to leave off between two attempts to connect.
const BACK_OFF: Duration = Duration::from_millis(500);

impl PostgresStore {
    /// Connects, and migrates the database. Where it is out of reach, tries again for as long as `patience` lasts.
    pub(crate) async fn open(options: &PgConnectOptions, place: &str, patience: Duration) -> Result<Self, OpenError> {
        let options = options.clone().application_name("woosh-server").options([
            // Whatever the database's own default is, a commit is on the disk before it is answered (D1).
            ("synchronous_commit", "on"),
            // A server that stalls or dies in the middle of a transaction holds others up no longer than this.
            ("statement_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ]);
        let mut connection = connect(&options, place, patience).await?;
        check(place, &mut connection).await?;
        // It takes an advisory lock, so that of several replicas that start at once one migrates and the others wait.
        MIGRATIONS.run(&mut connection).await.map_err(|error| match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => failed(place, cause),
            other => OpenError::Other { place: place.to_owned(), cause: other.into() },
        })?;
        connection.close().await.map_err(|error| failed(place, error))?;

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
            // Statements are prepared once per connection, and there are fewer of them than the default of 100.
            .connect_lazy_with(options.clone());
        let exchange = Exchange::start(options, pool.clone()).await.map_err(|error| failed(place, error))?;
        let (wakeups, exchange) = exchange;
        Ok(Self { pool, sessions: SessionMemory::none().into(), wakeups, _exchange: exchange.into() })
    }
}

async fn connect(options: &PgConnectOptions, place: &str, patience: Duration) -> Result<PgConnection, OpenError> {
    let start = Instant::now();
    loop {
        let error = match options.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        if !is_out_of_reach(&error) {
            return Err(failed(place, error));
        }
        let left = patience.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(OpenError::OutOfReach {
                place: place.to_owned(),
                seconds: patience.as_secs(),
                reason: error.to_string(),
            });
        }
        tracing::warn!(%error, "the database {place} is out of reach; trying for {} seconds more", left.as_secs());
        sleep(BACK_OFF.min(left)).await;
    }
}

fn is_out_of_reach(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| is_passing(&code)),
        _ => false,
    }
}

/// Refuses a database that comes from the future.
async fn check(place: &str, connection: &mut PgConnection) -> Result<(), OpenError> {
    let ours: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| failed(place, error))?;
    if !ours {
        return Ok(());
    }
    let found = PostgresStore::schema_version(connection).await.map_err(|error| failed(place, error))?;
    OpenError::unless_newer(place, found, &MIGRATIONS)
}

fn failed(place: &str, error: sqlx::Error) -> OpenError {
    OpenError::Other { place: place.to_owned(), cause: error.into() }
}
