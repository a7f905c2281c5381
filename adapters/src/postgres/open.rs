use sqlx::PgConnection;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;

use super::migrate::{MIGRATIONS, migrate};
use crate::pool::{
    Pool, Requirements, STATEMENT_DEADLINE, SettingError, apply, connect, ensure_sessions, prepare_to_migrate, within,
};
use crate::store::{OpenError, OpenFailure, SCHEMA_VERSION, refuse_newer};
use crate::transient::is_transient;

/// The most pooled connections of one replica, in addition to two for notifications: enough to keep a database with a
/// few processors busy, and few enough that five replicas stay below the 100 that Postgres allows by default.
const CONNECTIONS: u32 = 16;
/// The most connections for notifications: one listens, and one publishes.
const NOTIFY_CONNECTIONS: u32 = 2;

/// The connections of an open database.
pub(super) struct OpenDatabase {
    pub(super) pool: Pool,
    /// Separate, so that a busy pool does not delay notifications.
    pub(super) notify_pool: Pool,
}

/// The migrations of the schema.
pub(crate) fn migrations() -> &'static Migrator {
    &MIGRATIONS
}

/// Connects once, and verifies and migrates the database.
pub(super) async fn open(
    options: &PgConnectOptions,
    requirements: Requirements,
    location: &str,
) -> Result<OpenDatabase, OpenFailure> {
    // Not a default of every pooler, and not needed: there are no floating-point numbers.
    let options = options.clone().application_name("woosh-server").extra_float_digits(None);
    let failed = |error| failed(location, error);
    let mut connection = connect(&options).await.map_err(failed)?;
    let mut second = connect(&options).await.map_err(failed)?;
    ensure_sessions(&mut connection, &mut second).await.map_err(failed)?;
    apply(&mut connection, requirements).await.map_err(failed)?;
    if requirements.allow_fsync_off {
        tracing::debug!("fsync and full_page_writes of {location} may be off");
    }
    within(STATEMENT_DEADLINE, check(location, &mut connection)).await.map_err(failed)??;
    prepare_to_migrate(&mut connection).await.map_err(failed)?;
    migrate(&mut connection, &mut second, location).await?;
    // Closes the sockets. The server ends the sessions by itself.
    drop((connection, second));

    let pool = |size| Pool::new(options.clone(), requirements, size);
    Ok(OpenDatabase { pool: pool(CONNECTIONS), notify_pool: pool(NOTIFY_CONNECTIONS) })
}

/// Refuses a database that a newer server has migrated.
async fn check(location: &str, connection: &mut PgConnection) -> sqlx::Result<Result<(), OpenError>> {
    let ours: bool =
        sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL").fetch_one(&mut *connection).await?;
    if !ours {
        return Ok(Ok(()));
    }
    let found = sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await?;
    Ok(refuse_newer(location, found, &MIGRATIONS))
}

/// Describes why an attempt to open the database failed.
pub(super) fn failed(location: &str, error: sqlx::Error) -> OpenFailure {
    if is_transient(&error) {
        return OpenFailure::Transient(error.to_string());
    }
    let location = location.to_owned();
    OpenFailure::Permanent(match error {
        sqlx::Error::Configuration(cause) if cause.is::<SettingError>() => {
            OpenError::Setting { location, reason: cause.to_string() }
        }
        error => OpenError::Other { location, cause: error.into() },
    })
}
