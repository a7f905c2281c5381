//! The statements of the ports, and how their rows become model types.

mod mailboxes;
mod users;

use std::error::Error;

use woosh_domain::ports::PortError;

/// Why a statement gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SqlError {
    /// The database said so.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// A row holds what can't have been written by us.
    #[error("row {row} of {table} is corrupt: {column}: {cause}")]
    Corrupt { table: &'static str, column: &'static str, row: i64, cause: Box<dyn Error + Send + Sync> },
}

impl From<SqlError> for PortError {
    fn from(error: SqlError) -> Self {
        match &error {
            SqlError::Database(cause) if is_passing(cause) => Self::unavailable(error),
            _ => Self::fault(error),
        }
    }
}

/// Whether the same statement may go through later.
fn is_passing(error: &sqlx::Error) -> bool {
    /// The primary codes `SQLITE_BUSY`, `SQLITE_LOCKED`, `SQLITE_IOERR` and `SQLITE_FULL`
    /// (<https://www.sqlite.org/rescode.html>).
    const PASSING: [i32; 4] = [5, 6, 10, 13];

    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => primary_code(cause.as_ref()).is_some_and(|code| PASSING.contains(&code)),
        _ => false,
    }
}

/// The primary part of a SQLite result code.
pub(crate) fn primary_code(error: &dyn sqlx::error::DatabaseError) -> Option<i32> {
    error.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Makes a column's bytes a model type again.
fn opaque<T, E>(
    table: &'static str,
    column: &'static str,
    row: i64,
    bytes: Vec<u8>,
    parse: impl FnOnce(String) -> Result<T, E>,
) -> Result<T, SqlError>
where
    E: Error + Send + Sync + 'static,
{
    let corrupt = |cause: Box<dyn Error + Send + Sync>| SqlError::Corrupt { table, column, row, cause };
    let text = String::from_utf8(bytes).map_err(|error| corrupt(error.into()))?;
    parse(text).map_err(|error| corrupt(error.into()))
}

/// Makes a column's text a username again.
fn username(
    table: &'static str,
    column: &'static str,
    row: i64,
    text: &str,
) -> Result<woosh_domain::model::Username, SqlError> {
    woosh_domain::model::Username::new(text).map_err(|error| SqlError::Corrupt {
        table,
        column,
        row,
        cause: error.into(),
    })
}
