use std::io;
use std::time::Duration;

use tokio::time::timeout;

/// An error that may come from a database.
pub(crate) trait Failure: From<sqlx::Error> {
    /// Returns the error of `sqlx` that this error is or contains. If there is none, returns `None`.
    fn of_database(&self) -> Option<&sqlx::Error>;
}

impl Failure for sqlx::Error {
    fn of_database(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

/// Awaits `work`, which uses the database, for at most `limit`. If `limit` elapses first, returns an I/O error of the
/// kind `TimedOut`.
pub(crate) async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let reason = format!("the database did not answer within {} seconds", limit.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, reason)).into())
    })
}
