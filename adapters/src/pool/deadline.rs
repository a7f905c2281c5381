use std::io;
use std::time::Duration;

use tokio::time::timeout;

/// An error that may come from a database.
pub(crate) trait Failure: From<sqlx::Error> {
    /// Returns the error of the database.
    fn of_database(&self) -> Option<&sqlx::Error>;
}

impl Failure for sqlx::Error {
    fn of_database(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

/// Awaits the database for at most `limit`.
pub(crate) async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    timeout(limit, work).await.unwrap_or_else(|_| {
        let reason = format!("the database did not answer within {} seconds", limit.as_secs());
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, reason)).into())
    })
}
