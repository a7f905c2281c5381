//! The template that databases are cloned from, and the names of all that the harness makes on a server.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use woosh_server::database::{Database, DatabaseUrl, postgres_schema};

/// What the advisory lock of whoever makes the template is called.
const LOCK: i64 = 0x77_6f6f_7368;

/// How to connect to another database of a server.
pub(super) fn url(admin: &PgConnectOptions, database: &str) -> String {
    admin.clone().database(database).to_url_lossy().to_string()
}

/// What an owner's sessions call themselves. As long as there is one, its databases are not swept.
pub(super) fn session_name(owner: &str) -> String {
    format!("woosh-harness-{owner}")
}

/// The name of an owner's database.
pub(super) fn database_name(owner: &str, number: u64) -> String {
    format!("woosh_test_{owner}_{number}")
}

/// The name of the template: another schema has another one.
fn template_name() -> String {
    format!("woosh_template_{}", postgres_schema())
}

/// Runs a statement that takes names in place of parameters. All of them are made here, of letters and digits.
async fn run(connection: &mut PgConnection, statement: String) -> sqlx::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}

/// Makes the template where it is not there yet.
pub(super) async fn ensure(connection: &mut PgConnection, admin: &PgConnectOptions) -> anyhow::Result<()> {
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *connection).await?;
    let name = template_name();
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        // Under another name until it is whole, so that whoever dies in the middle leaves no half of it.
        let half = format!("{name}_half");
        run(connection, format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)")).await?;
        run(connection, format!("CREATE DATABASE {half} TEMPLATE template0")).await?;
        let half_url: DatabaseUrl = url(admin, &half).parse()?;
        Database::open(&half_url, Duration::ZERO).await?.close().await;
        run(connection, format!("ALTER DATABASE {half} RENAME TO {name}")).await?;
        run(connection, format!("ALTER DATABASE {name} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(connection).await?;
    Ok(())
}

/// Drops the databases of owners that have died.
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

/// Clones the template.
pub(super) async fn clone(admin: &PgConnectOptions, name: &str) -> anyhow::Result<()> {
    let mut connection = admin.connect().await?;
    // Copying files is faster than logging their pages; Postgres 14 knows no other way, nor the word for it.
    let strategy = if connection.server_version_num() >= Some(150_000) { "STRATEGY FILE_COPY" } else { "" };
    run(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {} {strategy}", template_name())).await?;
    Ok(connection.close().await?)
}

/// Drops a database, whoever is connected to it.
pub(super) async fn drop(connection: &mut PgConnection, name: &str) -> sqlx::Result<()> {
    run(connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await
}
