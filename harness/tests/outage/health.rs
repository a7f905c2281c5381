use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::{ConnectOptions as _, PgConnection};

use super::fixture::{Fixture, database};

const LIMIT: Duration = Duration::from_secs(10);

/// Lets each write to the table `health` fail at the commit, as if the disk were full. Connections to Postgres that are
/// already open are affected, too.
const REFUSE_COMMITS: &str = "
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT OR UPDATE ON health
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";

pub(crate) async fn no_commit() -> anyhow::Result<()> {
    let database = database().await?;
    let fixture = Fixture::start(database.url().clone()).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    assert!(fixture.is_ready().await);
    for (fault, remedy) in [
        (REFUSE_COMMITS, "DROP TRIGGER refuse ON health"),
        // The write waits for the lock until the check gives up.
        ("BEGIN; LOCK TABLE health", "COMMIT"),
    ] {
        sqlx::raw_sql(fault).execute(&mut admin).await?;
        fixture.becomes_ready(false, LIMIT).await;
        assert!(fixture.is_alive().await);
        assert_eq!(fixture.read().await.status(), 200);
        sqlx::raw_sql(remedy).execute(&mut admin).await?;
        let duration = fixture.becomes_ready(true, LIMIT).await;
        println!("ready {duration:.1?} after the fault");
    }
    Ok(())
}

pub(crate) async fn many_checks() -> anyhow::Result<()> {
    let database = database().await?;
    let fixture = Fixture::start(database.url().clone()).await?;
    let mut admin = database.postgres_options().unwrap().connect().await?;
    assert!(fixture.is_ready().await);
    let (start, before) = (Instant::now(), checks(&mut admin).await?);
    let mut asked = 0;
    while start.elapsed() < Duration::from_secs(3) {
        assert!(join_all((0..50).map(|_| fixture.is_ready())).await.iter().all(|is_ready| *is_ready));
        asked += 50;
    }
    let (committed, most) = (checks(&mut admin).await? - before, start.elapsed().as_secs() + 1);
    println!("{committed} writes for {asked} checks in {:.1?}", start.elapsed());
    assert!((1..=most).contains(&committed.cast_unsigned()), "{committed} writes, at most {most} were expected");
    Ok(())
}

/// Returns how many readiness checks have committed a write to the table `health`.
async fn checks(connection: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT checks FROM health").fetch_one(connection).await
}
