use std::any::Any;
use std::error::Error;

use sqlx::postgres::PgDatabaseError;
use woosh_domain::ports::PortError;

use super::Cell;

/// Why a database operation failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlError {
    /// An error of `sqlx`: the database or the connection to it failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// An error of `rusqlite`, which writes to mailboxes and reads pages of mailboxes on SQLite.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// This file of the database is not the one that the server opened.
    #[error("{0} was removed or replaced while the server runs")]
    FileLost(String),
    /// Other transactions have changed the same rows, again and again.
    #[error("too many conflicts with other transactions")]
    Conflict,
    /// The code that ran the statement panicked.
    #[error("a write panicked: {0}")]
    Panicked(String),
    /// A row contains a value that Woosh can't have stored.
    #[error("{}.{} is corrupt in the row with {} = {}: {cause}", .cell.table, .cell.column, .cell.key, .cell.row)]
    Corrupt { cell: Cell, cause: Box<dyn Error + Send + Sync> },
}

impl From<SqlError> for PortError {
    fn from(error: SqlError) -> Self {
        match &error {
            SqlError::Conflict | SqlError::FileLost(_) => Self::unavailable(error),
            SqlError::Database(cause) if is_transient(cause) => Self::unavailable(error),
            SqlError::Sqlite(rusqlite::Error::SqliteFailure(cause, _))
                if TRANSIENT_IN_SQLITE.contains(&primary_code(cause.extended_code)) =>
            {
                Self::unavailable(error)
            }
            _ => Self::fault(error),
        }
    }
}

impl SqlError {
    /// Converts the payload of a panic to an error with the panic's message.
    pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Self {
        let message = panic.downcast_ref::<&str>().copied();
        let message = message.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Self::Panicked(message.unwrap_or("no message").to_owned())
    }
}

/// SQLite's result codes `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR` and `SQLITE_FULL`.
const TRANSIENT_IN_SQLITE: [i32; 4] = [5, 6, 10, 13];

/// Returns whether the same statement may succeed on a later retry.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    /// Classes of SQLSTATE: connection exceptions, transaction rollbacks (deadlocks among them), insufficient
    /// resources, objects in use, and operator interventions
    /// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
    const POSTGRES: [&str; 5] = ["08", "40", "53", "55", "57"];
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => match cause.code() {
            Some(code) if cause.try_downcast_ref::<PgDatabaseError>().is_some() => {
                POSTGRES.iter().any(|class| code.starts_with(class))
            }
            _ => sqlite_code(error).is_some_and(|code| TRANSIENT_IN_SQLITE.contains(&code)),
        },
        _ => false,
    }
}

/// Returns the primary result code of a SQLite error (<https://www.sqlite.org/rescode.html>).
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    Some(primary_code(error.as_database_error()?.code()?.parse().ok()?))
}

/// Returns the primary result code: the low byte of an extended result code.
const fn primary_code(extended: i32) -> i32 {
    extended & 0xff
}
