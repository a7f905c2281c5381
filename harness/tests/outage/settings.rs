use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _};
use woosh_harness::TestDatabase;
use woosh_harness::postgres::Proxy;
use woosh_server::database::DatabaseUrl;

use super::fixture::{Fixture, bind, database};
use super::pooler;

/// Statements that make the database record the settings of each connection that stores a message.
const RECORD: &str = "
CREATE TABLE recorded (setting TEXT, value TEXT);
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO recorded SELECT setting, current_setting(setting)
    FROM unnest(ARRAY['synchronous_commit', 'transaction_isolation', 'statement_timeout',
                      'idle_in_transaction_session_timeout']) AS setting;
    RETURN NULL;
END $$;
CREATE TRIGGER record AFTER INSERT ON messages EXECUTE FUNCTION record()";

/// Verifies promises D1 (durable) and D4 (idempotent send) of the delivery contract behind a pooler. The server passes
/// settings when it connects, but the pooler drops them.
pub(crate) async fn defaults() -> anyhow::Result<()> {
    for (default, used) in [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")] {
        let database = database().await?;
        alter(&database, &format!("SET synchronous_commit = {default}")).await?;
        alter(&database, "SET default_transaction_isolation = 'repeatable read'").await?;
        let mut connection = database.postgres_options().unwrap().connect().await?;
        sqlx::raw_sql(RECORD).execute(&mut connection).await?;
        let proxy = Proxy::start(&database).await?;
        let fixture = Fixture::start(proxy.url()?).await?;
        for _ in 0..5 {
            assert_eq!(fixture.send("hello").await.status(), 201);
        }
        let recorded: Vec<(String, String)> =
            sqlx::query_as("SELECT DISTINCT setting, value FROM recorded ORDER BY setting")
                .fetch_all(&mut connection)
                .await?;
        let expected = [
            ("idle_in_transaction_session_timeout", "10s"),
            ("statement_timeout", "8s"),
            ("synchronous_commit", used),
            ("transaction_isolation", "read committed"),
        ];
        assert_eq!(recorded, expected.map(|(setting, value)| (setting.to_owned(), value.to_owned())));
    }
    Ok(())
}

/// Verifies promise D1 (durable) of the delivery contract: a server refuses a Postgres whose `fsync` or
/// `full_page_writes` is off, unless the operator allows it.
pub(crate) async fn fsync_off() -> anyhow::Result<()> {
    let database = database().await?;
    let options = database.postgres_options().unwrap();
    let (fsync, pages): (String, String) =
        sqlx::query_as("SELECT current_setting('fsync'), current_setting('full_page_writes')")
            .fetch_one(&mut options.connect().await?)
            .await?;
    let url: DatabaseUrl = options.to_url_lossy().as_str().parse()?;
    if (fsync.as_str(), pages.as_str()) == ("on", "on") {
        bind(url.clone(), Duration::ZERO).await?;
    } else {
        assert_refused(url.clone(), &["is off, but has to be on", "--allow-fsync-off"]).await;
    }
    bind(url.allow_fsync_off(), Duration::ZERO).await?;
    Ok(())
}

pub(crate) async fn encoding() -> anyhow::Result<()> {
    let database = database().await?;
    let options = database.postgres_options().unwrap();
    let name = format!("{}_ascii", options.get_database().unwrap());
    let mut admin = options.clone().database("postgres").connect().await?;
    let create = format!("CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut admin).await?;
    let url: DatabaseUrl = options.database(&name).to_url_lossy().as_str().parse()?;
    assert_refused(url.allow_fsync_off(), &["server_encoding is SQL_ASCII, but has to be UTF8"]).await;
    sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(&mut admin).await?;
    Ok(())
}

pub(crate) async fn transaction_pooler() -> anyhow::Result<()> {
    let database = database().await?;
    assert_refused(pooler::start(&database).await, &["pooler", "pool_mode = session"]).await;
    Ok(())
}

/// Panics unless a server refuses to start on the database `url`. The error must be one line, and contain all `parts`.
async fn assert_refused(url: DatabaseUrl, parts: &[&str]) {
    let error = bind(url, Duration::from_secs(60)).await.err().unwrap().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    for part in parts {
        assert!(error.contains(part), "{error}");
    }
}

pub(crate) async fn alter(database: &TestDatabase, change: &str) -> anyhow::Result<()> {
    let options = database.postgres_options().unwrap();
    let statement = format!("ALTER DATABASE {} {change}", options.get_database().unwrap());
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut options.connect().await?).await?;
    Ok(())
}
