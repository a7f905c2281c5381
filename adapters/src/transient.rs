//! Distinguishes errors of a database that a retry may fix from errors that a retry can't fix.

use sqlx::postgres::PgDatabaseError;

/// Postgres accepts no writes at the moment, for example because it is a standby.
#[derive(Debug, thiserror::Error)]
#[error("the database is read-only")]
pub(crate) struct ReadOnly;

/// Returns whether the statement that failed with this error may succeed if it is tried again later, perhaps on another
/// connection.
pub(crate) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        // `InvalidData` is how the TLS library reports a certificate that it does not trust, and a retry does not
        // change that.
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

/// Returns whether Postgres can no longer use a prepared statement of the connection, for example because a table has
/// changed. The statement never works again on that connection. Other connections probably have unusable statements,
/// too, so the caller should replace all connections.
pub(crate) fn is_stale(error: &sqlx::Error) -> bool {
    postgres_error(error).is_some_and(|cause| is_stale_state(cause.code(), cause.routine()))
}

/// Returns whether Postgres did not answer the statement, or ended the connection instead of answering. If so, it is
/// unknown whether the statement took effect, and other statements would probably fail, too.
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
        // ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL and SCHEMA: caused by other
        // users of the file, the disk, permissions, memory or file handles.
        4..=10 | 13..=15 | 17 => true,
        // ERROR, INTERNAL, PERM, CORRUPT, NOTFOUND, TOOBIG, CONSTRAINT, MISMATCH, MISUSE, NOLFS, AUTH, FORMAT, RANGE
        // and NOTADB: caused by the file, the statement or its values.
        _ => false,
    }
}

/// Returns the primary result code: the low byte of an extended result code.
const fn primary_code(extended: i32) -> i32 {
    extended & 0xff
}

fn postgres_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// Returns whether a SQLSTATE is transient (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn is_transient_state(state: &str) -> bool {
    match state {
        // Permanent errors in classes that are otherwise transient: an integrity violation, a parameter that can't be
        // changed, an unusable enum value, and a database that was dropped.
        "40002" | "55P02" | "55P04" | "57P04" => false,
        // Transient errors in classes that are otherwise permanent: a database that is read-only, transactions that
        // were idle or took too long, a full or failing disk, and a snapshot that is too old.
        "25006" | "25P03" | "25P04" | "58000" | "58030" | "72000" => true,
        // The transient classes: connection exceptions, transaction rollbacks (such as deadlocks), insufficient
        // resources, objects that are not in the prerequisite state (such as locked ones), and operator interventions
        // (such as shutdowns and cancellations).
        _ => ["08", "40", "53", "55", "57"].iter().any(|class| state.starts_with(class)),
    }
}

fn is_stale_state(state: &str, routine: Option<&str>) -> bool {
    match state {
        // Usually an unsupported feature. From this routine of Postgres, however: a table has changed, and with it the
        // columns that the statement returns.
        "0A000" => routine == Some("RevalidateCachedQuery"),
        // The prepared statement does not exist, or another one with its name exists already.
        "26000" | "42P05" => true,
        _ => false,
    }
}

#[cfg(test)]
#[path = "transient_tests.rs"]
mod tests;
