//! Tells errors of a database that a retry may fix from those that it can't.

use sqlx::postgres::PgDatabaseError;

/// Postgres accepts no writes at the moment, for example because it is a standby.
#[derive(Debug, thiserror::Error)]
#[error("the database is read-only")]
pub(crate) struct ReadOnly;

/// Returns whether the same statement may succeed later, perhaps on another connection.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        // The TLS library reports certificates that it does not trust as invalid data.
        sqlx::Error::Io(cause) => cause.kind() != std::io::ErrorKind::InvalidData,
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Configuration(cause) => cause.is::<ReadOnly>(),
        sqlx::Error::Database(_) => {
            is_stale(error)
                || postgres_error(error).is_some_and(|cause| is_transient_state(cause.code()))
                || sqlite_code(error).is_some_and(is_transient_code)
        }
        _ => false,
    }
}

/// Returns whether the connection has a prepared statement that Postgres can't use any more. Such a statement never works
/// again on that connection, so other connections probably have to be replaced, too.
pub(crate) fn is_stale(error: &sqlx::Error) -> bool {
    postgres_error(error).is_some_and(|cause| is_stale_state(cause.code(), cause.routine()))
}

/// Returns whether Postgres did not answer, or ended the connection instead. It is unknown whether the statement took effect,
/// and other statements would probably fail, too.
pub(crate) fn is_unanswered(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
        _ => {
            postgres_error(error).is_some_and(|cause| cause.code().starts_with("08") || cause.code().starts_with("57P"))
        }
    }
}

/// Returns whether the disk of the database is full.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    postgres_error(error).is_some_and(|cause| cause.code() == "53100") || sqlite_code(error).is_some_and(is_full_code)
}

/// Returns whether a result code of SQLite, primary or extended, says that the disk is full.
pub(crate) const fn is_full_code(code: i32) -> bool {
    primary_code(code) == 13
}

/// Returns the primary result code of a SQLite error (<https://www.sqlite.org/rescode.html>).
pub(crate) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    if postgres_error(error).is_some() {
        return None;
    }
    Some(primary_code(error.as_database_error()?.code()?.parse().ok()?))
}

/// Returns whether a result code of SQLite, primary or extended, is transient.
pub(crate) const fn is_transient_code(code: i32) -> bool {
    match primary_code(code) {
        // ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL and SCHEMA: other users of the file,
        // the disk, its permissions, memory or file handles.
        4..=10 | 13..=15 | 17 => true,
        // ERROR, INTERNAL, PERM, CORRUPT, NOTFOUND, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, NOLFS, AUTH, FORMAT, RANGE and NOTADB:
        // the file, the statement or its values.
        _ => false,
    }
}

/// The primary result code, which is the low byte of an extended one.
const fn primary_code(extended: i32) -> i32 {
    extended & 0xff
}

fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Returns whether a SQLSTATE is transient (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_transient_state(state: &str) -> bool {
    match state {
        // Exceptions in transient classes: an integrity violation, a parameter that can't be changed, an unusable enum value,
        // and a database that was dropped.
        "40002" | "55P02" | "55P04" | "57P04" => false,
        // Transient ones in other classes: a database that is read-only, transactions that were idle or took too long, a full
        // or failing disk, and a snapshot that is too old.
        "25006" | "25P03" | "25P04" | "58000" | "58030" | "72000" => true,
        // Connection exceptions, transaction rollbacks (deadlocks among them), insufficient resources, objects not in the
        // prerequisite state (locked ones among them), and operator interventions (shutdowns and cancellations among them).
        _ => ["08", "40", "53", "55", "57"].iter().any(|class| state.starts_with(class)),
    }
}

fn is_stale_state(state: &str, routine: Option<&str>) -> bool {
    match state {
        // An unsupported feature, unless a change of a table changed what the statement returns.
        "0A000" => routine == Some("RevalidateCachedQuery"),
        // The statement does not exist, or one of that name exists already.
        "26000" | "42P05" => true,
        _ => false,
    }
}

#[cfg(test)]
#[path = "transient_tests.rs"]
mod tests;
