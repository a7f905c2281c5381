use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};

use super::migrate::{MIGRATIONS, migrate};
use crate::pool::{CONNECT_TIMEOUT, Pool, Requirements, apply, connect, ensure_sessions, prepare_to_migrate, within};
use crate::store::{OpenError, OpenFailure, SCHEMA_VERSION, refuse_newer};

/// Maximum number of pooled connections of one replica, in addition to two connections for notifications. Enough to
/// keep a database with a few processors busy, and few enough that five replicas stay below the 100 connections that
/// Postgres allows by default.
const CONNECTIONS: u32 = 16;
/// Maximum number of connections for notifications: one listens, and one publishes.
const NOTIFY_CONNECTIONS: u32 = 2;

/// Maximum duration of a read, which is a few index lookups.
const READ_LIMIT: Duration = Duration::from_secs(5);
/// Maximum duration of a write, which may wait for locks and for the disk.
pub(super) const WRITE_LIMIT: Duration = Duration::from_secs(10);
/// Maximum duration of looking up a batch of tokens, which is one index lookup for each token. The other lookups of the
/// lane (queue of lookups) wait until the batch ends.
pub(super) const LOOK_UP_LIMIT: Duration = Duration::from_secs(3);
/// Maximum duration of publishing a notification.
const NOTIFY_LIMIT: Duration = Duration::from_secs(2);

/// The connections of an open database.
pub(super) struct OpenDatabase {
    pub(super) pool: Pool,
    /// A separate pool for notifications, so that requests that wait for a connection of `pool` do not delay
    /// notifications.
    pub(super) notify_pool: Pool,
}

/// Makes one attempt to connect, and to verify and migrate the database.
pub(super) async fn open(
    options: &PgConnectOptions,
    requirements: Requirements,
    location: &str,
) -> Result<OpenDatabase, OpenFailure> {
    // `extra_float_digits` is unset, because some poolers do not accept it by default, and the schema has no
    // floating-point numbers.
    let options = options.clone().application_name("woosh-server").extra_float_digits(None);
    let failed = |error| OpenFailure::new(location, error);
    // Without statement logging, because it would log the long text of each slow migration.
    let mut connection = connect(&options.clone().disable_statement_logging()).await.map_err(failed)?;
    let mut second = connect(&options).await.map_err(failed)?;
    ensure_sessions(&mut connection, &mut second).await.map_err(failed)?;
    apply(&mut connection, requirements).await.map_err(failed)?;
    within(CONNECT_TIMEOUT, check(location, &mut connection)).await.map_err(failed)??;
    prepare_to_migrate(&mut connection).await.map_err(failed)?;
    migrate(&mut connection, &mut second, location).await?;
    // Closes only the sockets. Postgres then ends the sessions by itself.
    drop((connection, second));

    let pool = |size, limit| Pool::new(options.clone(), requirements, size, limit);
    Ok(OpenDatabase { pool: pool(CONNECTIONS, READ_LIMIT), notify_pool: pool(NOTIFY_CONNECTIONS, NOTIFY_LIMIT) })
}

/// Refuses a database that a newer version of the server has migrated.
async fn check(location: &str, connection: &mut PgConnection) -> sqlx::Result<Result<(), OpenError>> {
    let ours: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !ours {
        return Ok(Ok(()));
    }
    let found = sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await?;
    Ok(refuse_newer(location, found, &MIGRATIONS))
}
