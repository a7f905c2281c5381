use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use tokio::time::timeout;

use super::fixture::{Fixture, assert_unavailable, bind, database};
use super::settings::alter;

const LIMIT: Duration = Duration::from_secs(5);

pub(crate) async fn read_only() -> anyhow::Result<()> {
    let database = database().await?;
    let fixture = Fixture::start(database.url().clone()).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    assert_eq!(fixture.send("before").await.status(), 201);
    alter(&database, "SET default_transaction_read_only = on").await?;
    terminate(&mut admin).await?;
    assert_unavailable(&fixture.send("refused").await);
    assert!(!fixture.is_ready().await);
    // The session of `admin` can still write, because it started before the default was changed.
    alter_writable(&mut admin, &database).await?;
    let (duration, refused) = fixture.recover(LIMIT).await;
    println!("served {duration:.1?} after the database was writable again, {refused} requests were refused");
    Ok(())
}

pub(crate) async fn start_read_only() -> anyhow::Result<()> {
    let database = database().await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    alter(&database, "SET default_transaction_read_only = on").await?;
    let error = bind(database.url().clone(), Duration::ZERO).await.err().unwrap().to_string();
    assert!(error.contains("read-only"), "{error}");
    let mut starting = Box::pin(bind(database.url().clone(), Duration::from_secs(30)));
    assert!(timeout(Duration::from_millis(700), &mut starting).await.is_err());
    alter_writable(&mut admin, &database).await?;
    let start = Instant::now();
    starting.await?;
    println!("started {:.1?} after the database was writable again", start.elapsed());
    Ok(())
}

pub(crate) async fn changed_schema() -> anyhow::Result<()> {
    let database = database().await?;
    let fixture = Fixture::start(database.url().clone()).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    // Makes the server prepare statements on many connections.
    for _ in 0..3 {
        futures_util::future::join_all((0..40).map(|_| fixture.read())).await;
    }
    for change in [
        "ALTER TABLE users ALTER COLUMN username TYPE VARCHAR(64)",
        "ALTER TABLE messages ALTER COLUMN sender TYPE VARCHAR(64)",
        "ALTER TABLE users ALTER COLUMN username TYPE TEXT",
    ] {
        assert_eq!(fixture.send("before").await.status(), 201);
        sqlx::raw_sql(change).execute(&mut admin).await?;
        // The statements of a request run on several connections, so more than one request may meet an outdated
        // statement.
        let mut refused = Vec::new();
        for _ in 0..20 {
            for reply in [fixture.send("after").await, fixture.read().await] {
                refused.extend((!reply.status().is_success()).then_some(reply));
            }
        }
        println!("{change}: {} of 40 requests were refused", refused.len());
        refused.iter().for_each(assert_unavailable);
        assert!(refused.len() <= 4, "{} requests were refused", refused.len());
    }
    Ok(())
}

pub(crate) async fn terminated() -> anyhow::Result<()> {
    let database = database().await?;
    let fixture = Fixture::start(database.url().clone()).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    for _ in 0..5 {
        assert_eq!(fixture.send("before").await.status(), 201);
        terminate(&mut admin).await?;
        let (duration, refused) = fixture.recover(LIMIT).await;
        println!("served {duration:.1?} after the connections were ended, {refused} requests were refused");
    }
    Ok(())
}

/// Ends all connections of servers to the database.
async fn terminate(admin: &mut sqlx::PgConnection) -> sqlx::Result<()> {
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'woosh-server'",
    )
    .execute(admin)
    .await?;
    Ok(())
}

/// Makes a read-only database writable again. `admin` has to be a connection that was opened before the database became
/// read-only, because later connections can't write.
async fn alter_writable(admin: &mut sqlx::PgConnection, database: &woosh_harness::TestDatabase) -> sqlx::Result<()> {
    let options = database.postgres_options().unwrap();
    let statement = format!("ALTER DATABASE {} RESET default_transaction_read_only", options.get_database().unwrap());
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(admin).await?;
    Ok(())
}
