use super::*;
use futures_util::FutureExt as _;
use futures_util::future::{join, join_all};
use tokio::sync::oneshot;
use tokio::task::unconstrained;

/// What a write of these tests does after it has inserted its row.
#[derive(Clone, Copy)]
enum Then {
    Succeed,
    Fail,
    Panic,
    FillDisk,
    /// Succeeds, and then panics after the commit. The writer does not catch this panic, so its thread ends. The
    /// jobs of the server never panic after the commit.
    EndWriter,
}

/// A write of these tests: inserts a row into the table `birds`.
struct AddBird {
    id: i64,
    then: Then,
    reply: oneshot::Sender<Result<(), PortError>>,
}

impl Job for AddBird {
    fn run_all(connection: &Connection, jobs: &mut [Self]) -> Result<(), SqlError> {
        for job in jobs {
            connection.execute("INSERT INTO birds (id) VALUES (?1)", [job.id])?;
            match job.then {
                Then::Succeed | Then::EndWriter => {}
                Then::Fail => return Err(rusqlite::Error::QueryReturnedNoRows.into()),
                Then::Panic => panic!("on purpose"),
                Then::FillDisk => {
                    connection.execute_batch("PRAGMA max_page_count = 3; CREATE TABLE big (bytes BLOB)")?;
                    let filled = connection.execute("INSERT INTO big VALUES (zeroblob(100000))", []);
                    connection.execute_batch("PRAGMA max_page_count = 1000000")?;
                    filled?;
                }
            }
        }
        Ok(())
    }

    fn answer(self, failed: Option<PortError>) {
        assert!(!matches!(self.then, Then::EndWriter), "on purpose");
        let _ = self.reply.send(failed.map_or(Ok(()), Err));
    }
}

/// A writer on a new file with one table.
struct Fixture {
    writer: MailboxWriter<AddBird>,
    turn: Arc<AsyncMutex<()>>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("test.db")).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE birds (id INTEGER PRIMARY KEY)").unwrap();
        let turn = Arc::<AsyncMutex<()>>::default();
        Self { writer: MailboxWriter::start(connection, turn.clone(), Box::new(|| Ok(()))).unwrap(), turn, folder }
    }

    async fn add(&self, id: i64, then: Then) -> Result<(), PortError> {
        let (reply, outcome) = oneshot::channel();
        self.writer.run(AddBird { id, then, reply }).await?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Inserts a row into the table `birds` for each item of `birds`, all in one batch.
    async fn add_all(&self, birds: impl IntoIterator<Item = (i64, Then)>) -> Vec<Result<(), PortError>> {
        // Holding the lock stops the first job, so that all other jobs are queued before any job runs.
        let turn = self.turn.lock().await;
        let (outcomes, ()) = join(join_all(birds.into_iter().map(|(id, then)| self.add(id, then))), async {
            tokio::task::yield_now().await;
            drop(turn);
        })
        .await;
        outcomes
    }

    fn ids(&self) -> Vec<i64> {
        let connection = Connection::open(self.folder.path().join("test.db")).unwrap();
        let mut select = connection.prepare("SELECT id FROM birds ORDER BY id").unwrap();
        let ids = select.query_map([], |row| row.get(0)).unwrap();
        ids.collect::<Result<_, _>>().unwrap()
    }
}

#[tokio::test]
async fn a_job_that_fails_or_panics_does_not_affect_other_jobs_of_its_batch() {
    let fixture = Fixture::start();
    let outcomes = fixture.add_all((1..=9).map(|id| (id, [Then::Fail, Then::Panic, Then::Succeed][id as usize % 3])));
    let succeeded: Vec<_> = outcomes.await.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(|id| id % 3 == 2));
    assert_eq!(fixture.ids(), [2, 5, 8]);
}

#[tokio::test]
async fn a_statement_that_fails_fails_only_its_own_job() {
    let fixture = Fixture::start();
    fixture.add(1, Then::Succeed).await.unwrap();
    let outcomes = fixture.add_all([1, 2, 2, 3].map(|id| (id, Then::Succeed))).await;
    let succeeded: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [false, true, false, true]);
    assert_eq!(fixture.ids(), [1, 2, 3]);
}

#[tokio::test]
async fn a_full_disk_fails_a_job_and_later_jobs_succeed() {
    let fixture = Fixture::start();
    assert!(matches!(fixture.add(1, Then::FillDisk).await, Err(PortError::Full(_))));
    fixture.add(2, Then::Succeed).await.unwrap();
    assert_eq!(fixture.ids(), [2]);
}

#[tokio::test]
async fn nothing_is_written_while_another_connection_has_its_turn() {
    let fixture = Fixture::start();
    let turn = fixture.turn.lock().await;
    let mut adding = std::pin::pin!(fixture.add(1, Then::Succeed));
    let early = tokio::time::timeout(std::time::Duration::from_millis(50), &mut adding).await;
    assert!(early.is_err());
    assert!(fixture.ids().is_empty());
    drop(turn);
    adding.await.unwrap();
    assert_eq!(fixture.ids(), [1]);
}

#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let fixture = Fixture::start();
    let turn = fixture.turn.lock().await;
    let queue = |id| {
        let (reply, _) = oneshot::channel();
        unconstrained(fixture.writer.run(AddBird { id, then: Then::Succeed, reply })).now_or_never().is_some()
    };
    // The thread takes a batch of at most 256 jobs, and then waits for its turn. 1,024 jobs are queued.
    let queued = (1..=2000).take_while(|id| queue(*id)).count();
    assert!((1024..=1024 + 256).contains(&queued), "{queued}");
    drop(turn);
}

#[tokio::test]
async fn closing_runs_queued_jobs_and_refuses_later_ones() {
    let fixture = Fixture::start();
    let (outcomes, ()) =
        join(join_all((1..=100).map(|id| fixture.add(id, Then::Succeed))), fixture.writer.close()).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(matches!(fixture.add(101, Then::Succeed).await, Err(PortError::Unavailable(_))));
    assert_eq!(fixture.ids().len(), 100);
}

#[tokio::test]
async fn a_writer_whose_thread_has_ended_does_not_run() {
    let fixture = Fixture::start();
    fixture.add(1, Then::Succeed).await.unwrap();
    assert!(fixture.writer.is_running());
    assert!(fixture.add(2, Then::EndWriter).await.is_err());
    // The thread drops its end of the queue a moment after the job.
    while fixture.writer.is_running() {
        tokio::task::yield_now().await;
    }
}
