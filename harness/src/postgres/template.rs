//! The template database that test databases are cloned from, and the names of databases and connections. The owner of
//! a database is the process that created it, and has a random identifier.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use woosh_server::database::{Database, DatabaseUrl, postgres_schema};

/// The number of the Postgres advisory lock that a process holds while it creates the template database.
const LOCK: i64 = 0x77_6f6f_7368;

/// Returns the URL of the database `database` on the server.
pub(super) fn url(admin: &PgConnectOptions, database: &str) -> String {
    admin.clone().database(database).to_url_lossy().to_string()
}

/// Returns the `application_name` with which an owner connects to Postgres. An owner is a process that creates
/// databases. While it has such a connection, no other process drops its databases.
pub(super) fn session_name(owner: &str) -> String {
    format!("woosh-harness-{owner}")
}

/// Returns the name of a database. `owner` identifies the process that creates the database, and `number` tells the
/// databases of this process apart.
pub(super) fn database_name(owner: &str, number: u64) -> String {
    format!("woosh_test_{owner}_{number}")
}

/// Returns the name of the template database, which test databases are cloned from. The name contains a hash of the
/// migrations, so each version of the schema has its own template.
fn template_name() -> String {
    format!("woosh_template_{}", postgres_schema())
}

/// Runs a statement that contains names of databases, because Postgres accepts no parameters for names. The names need
/// no quotes, because they consist of letters, digits and underscores.
async fn run(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Creates the template database, which test databases are cloned from, if it does not exist.
pub(super) async fn ensure(connection: &mut PgConnection, admin: &PgConnectOptions) -> anyhow::Result<()> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let name = template_name();
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        // Renames the template only when it is complete, so that a killed process leaves no incomplete template under
        // the final name.
        let incomplete = format!("{name}_incomplete");
        run(connection, format!("DROP DATABASE IF EXISTS {incomplete} WITH (FORCE)")).await?;
        run(connection, format!("CREATE DATABASE {incomplete} TEMPLATE template0")).await?;
        // Accepts a server that is not durable, because the template holds no messages.
        let incomplete_url = url(admin, &incomplete).parse::<DatabaseUrl>()?.allow_fsync_off();
        Database::open(&incomplete_url, Duration::ZERO).await?.close().await;
        run(connection, format!("ALTER DATABASE {incomplete} RENAME TO {name}")).await?;
        run(connection, format!("ALTER DATABASE {name} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(connection).await?;
    Ok(())
}

/// Drops databases that killed processes have left: those whose owner, the process that created them, has no open
/// connection.
pub(super) async fn sweep(connection: &mut PgConnection) -> anyhow::Result<()> {
    let orphans: Vec<String> = sqlx::query_scalar(
        r"SELECT datname::text FROM pg_database
          WHERE datname LIKE 'woosh\_test\_%'
            AND 'woosh-harness-' || split_part(datname, '_', 3) NOT IN
                (SELECT application_name FROM pg_stat_activity WHERE application_name IS NOT NULL)",
    )
    .fetch_all(&mut *connection)
    .await?;
    for orphan in orphans {
        drop(connection, &orphan).await?;
    }
    Ok(())
}

/// Creates a database from the template.
pub(super) async fn clone(admin: &PgConnectOptions, name: &str) -> anyhow::Result<()> {
    let mut connection = admin.connect().await?;
    // Copying the files of the template is faster than writing its pages to the WAL. Postgres 14 always copies the
    // files, and does not accept the option.
    let strategy = if connection.server_version_num() >= Some(150_000) { "STRATEGY FILE_COPY" } else { "" };
    run(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {} {strategy}", template_name())).await?;
    Ok(connection.close().await?)
}

/// Drops a database, even if connections to it are open.
pub(super) async fn drop(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    run(connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}
