//! The statements of the ports, and how their rows become model types.

mod devices;
mod mailboxes;
mod receipts;
mod schema;
mod sessions;
mod users;

use std::error::Error;

use conditional_trait_gen::trait_gen;
use sqlx::postgres::PgDatabaseError;
use woosh_domain::model::{UserId, Username};
use woosh_domain::ports::PortError;

pub(crate) use self::mailboxes::{Acknowledged, count};
pub(crate) use self::receipts::{ReceiptRow, format as format_undelivered};
use crate::postgres::{self, PostgresStore};
use crate::sqlite::{self, SqliteStore};

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

/// A connection to the database of a store.
type Connection<Store> = <<Store as SqlStore>::Database as sqlx::Database>::Connection;

/// The database that a store keeps its tables in. The stores have methods of the same names beyond this, like `readers` and
/// `write`, and the statements are generated for each.
pub(crate) trait SqlStore {
    type Database: sqlx::Database;
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    /// What is to follow a write that ends sessions of a user: they are forgotten, and who waits on their devices is woken.
    fn ends_sessions<T>(
        &self,
        user: UserId,
        ended: impl FnOnce(&T) -> Option<Vec<i64>> + Send + 'static,
    ) -> impl FnOnce(&T) + Send + 'static {
        let (sessions, wakeups) = (self.sessions().clone(), self.wakeups().clone());
        move |outcome| {
            if let Some(devices) = ended(outcome) {
                sessions.forget(user);
                wakeups.wake(&devices);
            }
        }
    }
}

/// Whether the same statement may go through later.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => match cause.code() {
            Some(code) if cause.try_downcast_ref::<PgDatabaseError>().is_some() => postgres::is_passing(&code),
            Some(code) => sqlite::is_passing(&code),
            None => false,
        },
        _ => false,
    }
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
pub(crate) fn username(table: &'static str, column: &'static str, row: i64, text: &str) -> Result<Username, SqlError> {
    Username::new(text).map_err(|error| SqlError::Corrupt { table, column, row, cause: error.into() })
}
