use super::*;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::unconstrained;

/// Starts a writer on a new file with one table. Returns the writer, and the folder of the file.
async fn writer() -> (Writer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteConnectOptions::new().filename(folder.path().join("test.db")).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("CREATE TABLE birds (id INTEGER PRIMARY KEY)").execute(&mut connection).await.unwrap();
    (Writer::start(connection, options, Arc::default()), folder)
}

async fn run<T: Send + 'static>(
    writer: &Writer,
    work: impl for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
) -> Result<T, PortError> {
    writer.run(work, |_| ()).await
}

async fn add(writer: &Writer, id: i64, then: impl FnOnce() -> Result<(), SqlError> + Send + 'static) -> bool {
    let outcome = run(writer, move |connection| {
        Box::pin(async move {
            sqlx::query("INSERT INTO birds (id) VALUES ($1)").bind(id).execute(connection).await?;
            then()
        })
    });
    outcome.await.is_ok()
}

async fn ids(writer: &Writer) -> Vec<i64> {
    let ids = run(writer, |connection| {
        Box::pin(async move { Ok(sqlx::query_scalar("SELECT id FROM birds ORDER BY id").fetch_all(connection).await?) })
    });
    ids.await.unwrap()
}

#[tokio::test]
async fn a_job_that_fails_or_panics_does_not_affect_other_jobs_of_its_batch() {
    let (writer, _folder) = writer().await;
    let outcomes = join_all((1..=9).map(|id| {
        add(&writer, id, move || match id % 3 {
            0 => Err(sqlx::Error::RowNotFound.into()),
            1 => panic!("on purpose"),
            _ => Ok(()),
        })
    }));
    assert_eq!(outcomes.await, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|id| id % 3 == 2));
    assert_eq!(ids(&writer).await, [2, 5, 8]);
}

#[tokio::test]
async fn a_statement_that_fails_fails_only_its_own_job() {
    let (writer, _folder) = writer().await;
    assert!(add(&writer, 1, || Ok(())).await);
    let outcomes = join_all([1, 2, 2, 3].map(|id| add(&writer, id, || Ok(()))));
    assert_eq!(outcomes.await, [false, true, false, true]);
    assert_eq!(ids(&writer).await, [1, 2, 3]);
}

#[tokio::test]
async fn then_runs_after_a_commit_even_if_the_caller_was_cancelled_and_not_after_a_failure() {
    let (writer, _folder) = writer().await;
    let (committed, was_committed) = oneshot::channel();
    let work = writer.run(
        |connection| {
            Box::pin(async move {
                sqlx::query("INSERT INTO birds (id) VALUES (1)").execute(&mut *connection).await?;
                // A query that takes longer than the caller waits.
                sqlx::query_scalar::<_, i64>(
                    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000)
                     SELECT count(*) FROM n",
                )
                .fetch_one(connection)
                .await?;
                Ok(())
            })
        },
        |()| committed.send(()).unwrap(),
    );
    let cancelled = tokio::time::timeout(std::time::Duration::from_millis(50), work).await;
    assert!(cancelled.is_err());
    was_committed.await.unwrap();
    assert_eq!(ids(&writer).await, [1]);

    let failed = writer.run(|_| Box::pin(async { Err::<(), _>(sqlx::Error::RowNotFound.into()) }), |()| panic!());
    assert!(failed.await.is_err());
}

#[tokio::test]
async fn a_panic_after_the_commit_ends_neither_the_job_nor_the_writer() {
    let (writer, _folder) = writer().await;
    for id in 1..=3 {
        let insert = writer.run(
            move |connection| {
                Box::pin(async move {
                    sqlx::query("INSERT INTO birds (id) VALUES ($1)").bind(id).execute(connection).await?;
                    Ok(())
                })
            },
            |()| panic!("on purpose"),
        );
        assert!(insert.await.is_ok());
    }
    assert_eq!(ids(&writer).await, [1, 2, 3]);
}

#[tokio::test]
async fn the_writer_recovers_from_a_full_disk() {
    let (writer, _folder) = writer().await;
    // The page limit applies to this connection only, so a new connection can write again.
    let full = run(&writer, |connection| {
        Box::pin(async move {
            sqlx::raw_sql(
                "PRAGMA max_page_count = 3; CREATE TABLE big (bytes BLOB);
                 INSERT INTO big VALUES (zeroblob(100000))",
            )
            .execute(connection)
            .await?;
            Ok(())
        })
    });
    assert!(matches!(full.await, Err(PortError::Full(_))));
    // The next job may still fail, if it was queued before the writer dropped the connection.
    add(&writer, 1, || Ok(())).await;
    assert!(add(&writer, 2, || Ok(())).await);
    assert!(ids(&writer).await.contains(&2));
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let (writer, _folder) = writer().await;
    // The writer takes no job before this test waits for the first time.
    let mut adding: Vec<_> = (1..=1025).map(|id| Box::pin(add(&writer, id, || Ok(())))).collect();
    assert!(adding.iter_mut().all(|job| unconstrained(job).now_or_never().is_none()));
    assert_eq!(writer.jobs.capacity(), 0);
    assert!(join_all(adding).await.iter().all(|done| *done));
}

#[tokio::test]
async fn closing_runs_queued_jobs_and_refuses_later_ones() {
    let (writer, _folder) = writer().await;
    let (outcomes, ()) =
        futures_util::future::join(join_all((1..=100).map(|id| add(&writer, id, || Ok(())))), writer.close()).await;
    assert!(outcomes.iter().all(|done| *done));
    let late = run(&writer, |_| Box::pin(async { Ok(()) })).await;
    assert!(matches!(late, Err(PortError::Unavailable(_))));
}

#[tokio::test]
async fn a_writer_whose_task_has_ended_does_not_run() {
    let (writer, _folder) = writer().await;
    assert!(writer.is_running());
    writer.task.lock().unwrap().as_ref().unwrap().abort();
    while writer.is_running() {
        tokio::task::yield_now().await;
    }
    assert!(!add(&writer, 1, || Ok(())).await);
}
