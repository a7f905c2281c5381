use std::time::Duration;

use sqlx::PgConnection;
use sqlx::migrate::{MigrateError, Migrator};
use tokio::time::{Instant, sleep};

use crate::pool::within;
use crate::store::{OpenError, OpenFailure};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Returns the migrations that create and change the schema of a Postgres database.
pub(crate) fn migrations() -> &'static Migrator {
    &MIGRATIONS
}

/// Interval between log lines about a migration that is still running.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum duration of a query for the progress of a running migration.
const REPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Migrates the schema on `connection`, whose statements must have no time limit, so that a migration may take as long
/// as it needs. Meanwhile, queries the progress on the second connection `observer`, and logs the progress. These
/// queries have a time limit. The migration fails if one of them exceeds the limit, because the database then probably
/// does not answer any more.
///
/// Takes an advisory lock: if several replicas start at once, one migrates and the others wait.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    observer: &mut PgConnection,
    location: &str,
) -> Result<(), OpenFailure> {
    let lost = |error| OpenFailure::new(location, error);
    let start = Instant::now();
    let process = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *connection);
    let process: i32 = within(REPORT_TIMEOUT, process).await.map_err(lost)?;
    let mut running = Box::pin(MIGRATIONS.run_direct(None, connection, false));
    let outcome = loop {
        tokio::select! {
            biased;
            outcome = &mut running => break outcome,
            () = sleep(REPORT_INTERVAL) => {}
        }
        let state = within(REPORT_TIMEOUT, state(observer, process)).await.map_err(lost)?;
        let Some(state) = state else {
            return Err(OpenFailure::Transient("the connection that ran the migration was lost".to_owned()));
        };
        tracing::info!("still migrating the database {location} after {} seconds: {state}", start.elapsed().as_secs());
    };
    outcome.map_err(|error| match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => OpenFailure::new(location, cause),
        other => OpenError::Other { location: location.to_owned(), cause: other.into() }.into(),
    })?;
    if start.elapsed() > REPORT_INTERVAL {
        tracing::info!("migrated the database {location} in {} seconds", start.elapsed().as_secs());
    }
    Ok(())
}

/// Returns the progress of the migration that a process of Postgres runs, as text for the log. Returns `None` if the
/// process does not exist any more.
async fn state(observer: &mut PgConnection, process: i32) -> sqlx::Result<Option<String>> {
    let found: Option<(Option<String>, Option<String>, bool)> = sqlx::query_as(
        "SELECT state, wait_event_type, to_regclass('_sqlx_migrations') IS NOT NULL FROM pg_stat_activity WHERE pid = $1",
    )
    .bind(process)
    .fetch_optional(&mut *observer)
    .await?;
    let Some((state, waits_for, migrated_before)) = found else { return Ok(None) };
    let applied: i64 = if migrated_before {
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(observer).await?
    } else {
        0
    };
    let activity = match (state.as_deref(), waits_for.as_deref()) {
        (_, Some("Lock")) => "waiting for another session to release a lock",
        (Some("active"), _) => "running",
        _ => "idle",
    };
    Ok(Some(format!("migration {} of {}, {activity}", applied + 1, MIGRATIONS.iter().count())))
}
