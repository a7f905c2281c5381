use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt as _;
use woosh_domain::ports::PortError;

use super::cell::CorruptValue;
use crate::pool::Failure;
use crate::transient::{is_full, is_full_code, is_transient, is_transient_code, is_unanswered};

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlError {
    /// An error of `sqlx`: the database or the connection to it failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// An error of `rusqlite`, through which the SQLite store writes to mailboxes and reads pages of mailboxes.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The database file or its WAL was removed or replaced while the server runs. The value is the path of the file.
    #[error("{0} was removed or replaced while the server runs")]
    FileLost(String),
    /// The operating system does not tell how much space is free.
    #[error("can't determine the free space of the disk: {0}")]
    FreeSpace(std::io::Error),
    /// The write was given up after several attempts: each time, another transaction changed the same rows.
    #[error("too many conflicts with other transactions")]
    Conflict,
    /// A statement that served several callers failed. All of these callers receive this error.
    #[error(transparent)]
    Shared(Arc<Self>),
    /// The code that ran the statement panicked.
    #[error("a write panicked: {0}")]
    Panicked(String),
    /// A row contains a value that Woosh can't have stored.
    #[error(transparent)]
    Corrupt(#[from] CorruptValue),
}

impl From<CorruptValue> for PortError {
    fn from(error: CorruptValue) -> Self {
        SqlError::from(error).into()
    }
}

impl From<SqlError> for PortError {
    fn from(error: SqlError) -> Self {
        if error.is_full() {
            Self::full(error)
        } else if error.is_transient() {
            Self::unavailable(error)
        } else {
            Self::fault(error)
        }
    }
}

impl Failure for SqlError {
    fn of_database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(cause) => Some(cause),
            Self::Shared(error) => error.of_database(),
            _ => None,
        }
    }
}

impl SqlError {
    /// Returns whether the statement that failed with this error may succeed if it is tried again later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Database(cause) => is_transient(cause),
            Self::Sqlite(rusqlite::Error::SqliteFailure(cause, _)) => is_transient_code(cause.extended_code),
            Self::Shared(error) => error.is_transient(),
            Self::FileLost(_) | Self::FreeSpace(_) | Self::Conflict => true,
            Self::Sqlite(_) | Self::Panicked(_) | Self::Corrupt(_) => false,
        }
    }

    /// Returns whether the disk is full.
    fn is_full(&self) -> bool {
        match self {
            Self::Database(cause) => is_full(cause),
            Self::Sqlite(rusqlite::Error::SqliteFailure(cause, _)) => is_full_code(cause.extended_code),
            Self::Shared(error) => error.is_full(),
            _ => false,
        }
    }

    /// Returns whether the database did not answer the statement, so that it is unknown whether the statement took
    /// effect.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.of_database().is_some_and(is_unanswered)
    }

    /// Converts the payload of a panic to an error with the panic's message.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Panicked(message.unwrap_or("no message").to_owned())
    }
}

/// Runs `work`, and converts a panic to an error, so that the panic does not end a task that also runs the work of
/// other callers.
pub(crate) async fn catch_panic<T>(work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    let outcome = AssertUnwindSafe(work).catch_unwind().await;
    outcome.unwrap_or_else(|panic| Err(SqlError::panicked(panic.as_ref())))
}

/// Returns the error of a store whose background task or thread `writer` has ended by itself.
pub(crate) fn ended(writer: &str) -> PortError {
    PortError::fault(format!("{writer} has ended"))
}

/// Returns the error of an operation on a store that was closed.
pub(crate) fn closed() -> PortError {
    PortError::unavailable("the database is closed")
}
