//! Whether the server can do its work, and whether it should be restarted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use woosh_adapters::database::Database;
use woosh_domain::ports::PortError;

use crate::logging::causes;

/// Minimum time between the starts of two readiness checks. Requests within this time share one check, so frequent
/// requests cost little.
const INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time of a readiness check. Shorter than the timeout of the command `healthcheck`, and longer than a request
/// waits for a connection to the database.
const DEADLINE: Duration = Duration::from_secs(4);

/// Finds out whether a server is ready and alive, and logs when either changes.
pub(crate) struct Health {
    database: Database,
    readiness: Readiness,
    is_dead: AtomicBool,
}

impl Health {
    pub(crate) fn new(database: Database) -> Self {
        let commit = {
            let database = database.clone();
            move || -> BoxFuture<'static, _> {
                let database = database.clone();
                Box::pin(async move { database.check_commit().await })
            }
        };
        Self { database, readiness: Readiness::new(commit), is_dead: AtomicBool::new(false) }
    }

    /// Returns whether a small write can be committed to the database. Uses the last check if it started less than
    /// [`INTERVAL`] ago or still runs. Otherwise starts another check.
    pub(crate) async fn is_ready(&self) -> bool {
        self.readiness.is_ready().await
    }

    /// Returns false if only a restart of the process helps: the SQLite file was removed or replaced, or a background
    /// task that accesses the database for requests has ended.
    pub(crate) fn is_alive(&self) -> bool {
        let checked = self.database.check_alive();
        if self.is_dead.swap(checked.is_err(), Ordering::Relaxed) != checked.is_err() {
            match &checked {
                Err(error) => tracing::error!(%error, causes = causes(error), "the server has to be restarted"),
                Ok(()) => tracing::info!("the server does not have to be restarted any more"),
            }
        }
        checked.is_ok()
    }
}

/// The readiness check. It costs a write, so all requests within [`INTERVAL`] share one check.
struct Readiness {
    check: Box<dyn Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync>,
    last: Mutex<Option<Check>>,
    /// Since when checks fail.
    failing: Arc<Mutex<Option<Instant>>>,
}

/// A check that runs or has ended.
struct Check {
    start: Instant,
    /// Whether the check succeeded. `None` while the check runs. If the check panicked, the sender of this channel is
    /// gone.
    outcome: watch::Receiver<Option<bool>>,
}

impl Check {
    /// Returns whether another check may start.
    fn is_outdated(&self) -> bool {
        let has_ended = self.outcome.borrow().is_some() || self.outcome.has_changed().is_err();
        has_ended && self.start.elapsed() >= INTERVAL
    }
}

impl Readiness {
    fn new(check: impl Fn() -> BoxFuture<'static, Result<(), PortError>> + Send + Sync + 'static) -> Self {
        Self { check: Box::new(check), last: Mutex::default(), failing: Arc::default() }
    }

    async fn is_ready(&self) -> bool {
        let mut outcome = self.current();
        outcome.wait_for(Option::is_some).await.is_ok_and(|outcome| *outcome == Some(true))
    }

    /// Returns the receiver of the last check's outcome. If the last check is outdated, starts another check first.
    fn current(&self) -> watch::Receiver<Option<bool>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(check) = last.as_ref().filter(|check| !check.is_outdated()) {
            return check.outcome.clone();
        }
        let (sender, outcome) = watch::channel(None);
        let (check, failing) = ((self.check)(), self.failing.clone());
        // A task, so that it ends even if those who asked are gone.
        tokio::spawn(async move {
            let checked = timeout(DEADLINE, check).await.unwrap_or_else(|_| {
                Err(PortError::unavailable(format!("no commit within {} seconds", DEADLINE.as_secs())))
            });
            log(&checked, &failing);
            sender.send_replace(Some(checked.is_ok()));
        });
        *last = Some(Check { start: Instant::now(), outcome: outcome.clone() });
        outcome
    }
}

/// Logs the outcome of a check if it differs from the outcome of the previous check.
fn log(checked: &Result<(), PortError>, failing: &Mutex<Option<Instant>>) {
    let mut failing = failing.lock().unwrap_or_else(PoisonError::into_inner);
    match (checked, *failing) {
        (Err(error), None) => {
            *failing = Some(Instant::now());
            tracing::error!(%error, causes = causes(error), "not ready: a write can't be committed");
        }
        (Ok(()), Some(since)) => {
            *failing = None;
            tracing::info!("ready again after {} seconds", since.elapsed().as_secs());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future::join_all;
    use tokio::time::{advance, sleep};

    use super::*;

    /// Returns a counter, and a readiness check whose duration is `takes`. Each run of the check increments the
    /// counter.
    fn counting(takes: Duration, succeeds: bool) -> (Arc<AtomicUsize>, Readiness) {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let readiness = Readiness::new(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                sleep(takes).await;
                if succeeds { Ok(()) } else { Err(PortError::unavailable("on purpose")) }
            })
        });
        (runs, readiness)
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_ask_there_is_one_check_a_second() {
        for succeeds in [true, false] {
            let (runs, readiness) = counting(Duration::from_millis(10), succeeds);
            for second in 1..=5 {
                for _ in 0..9 {
                    let answers = join_all((0..100).map(|_| readiness.is_ready())).await;
                    assert!(answers.iter().all(|answer| *answer == succeeds));
                    advance(Duration::from_millis(100)).await;
                }
                assert_eq!(runs.load(Ordering::SeqCst), second);
                advance(Duration::from_millis(200)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_takes_long_is_shared_and_one_that_takes_too_long_has_failed() {
        let (runs, readiness) = counting(Duration::from_secs(3600), true);
        let start = Instant::now();
        for _ in 0..10 {
            // These hang up.
            assert!(timeout(Duration::from_millis(300), readiness.is_ready()).await.is_err());
        }
        assert!(!readiness.is_ready().await);
        assert_eq!(start.elapsed(), DEADLINE);
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_result_is_not_used_once_it_is_older_than_a_second() {
        let works = Arc::new(AtomicBool::new(true));
        let readiness = Readiness::new({
            let works = works.clone();
            move || {
                let works = works.load(Ordering::SeqCst);
                Box::pin(async move { if works { Ok(()) } else { Err(PortError::unavailable("on purpose")) } })
            }
        });
        for expected in [true, false, true] {
            works.store(expected, Ordering::SeqCst);
            // Nobody waits for this one.
            drop(readiness.current());
            sleep(Duration::from_secs(60)).await;
            works.store(!expected, Ordering::SeqCst);
            assert_eq!(readiness.is_ready().await, !expected);
            advance(INTERVAL).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_panics_has_failed_and_another_one_follows() {
        let runs = Arc::new(AtomicUsize::new(0));
        let counted = runs.clone();
        let readiness = Readiness::new(move || {
            let run = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                assert!(run > 0, "on purpose");
                Ok(())
            })
        });
        assert!(!readiness.is_ready().await);
        advance(INTERVAL).await;
        assert!(readiness.is_ready().await);
    }
}
