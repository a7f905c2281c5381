use std::io;
use std::time::Duration;

use tokio::time::timeout;

/// How long a statement may take that is no part of a transaction, with the wait for a connection.
pub(crate) const STATEMENT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a transaction may take, with the wait for a connection.
pub(crate) const TRANSACTION_DEADLINE: Duration = Duration::from_secs(10);

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
