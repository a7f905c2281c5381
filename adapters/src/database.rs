//! The database behind the ports.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use woosh_domain::ports::{PortError, Stores};

use crate::sqlite::SqliteStore;

/// Where a database is. Its `Display` and `Debug` forms hide a password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

/// A text is no URL of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not the URL of a database: it has to start with sqlite:")]
pub struct DatabaseUrlError;

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("sqlite:") { Ok(Self(text.to_owned())) } else { Err(DatabaseUrlError) }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Why a database was not opened. Each text is one line, for the operator.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no file, or has options that mean nothing.
    #[error("{url} can't be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is a file, and it is something else.
    #[error("{path} is not a SQLite database; it was left as it is")]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// There is a database, and it belongs to something else.
    #[error("{path} is a database of something else than Woosh; it was left as it is")]
    Foreign {
        /// The file.
        path: String,
    },
    /// A newer server has been there.
    #[error("{path} was written by a newer Woosh (schema {found}, this one knows {known}); it was left as it is")]
    Newer {
        /// The file.
        path: String,
        /// The version of its schema.
        found: i64,
        /// The newest version that this server knows.
        known: i64,
    },
    /// The file can't be read, written or made.
    #[error("{path} can't be opened or made: {reason} (does its folder exist, and may it be written?)")]
    Inaccessible {
        /// The file.
        path: String,
        /// What the database says.
        reason: String,
    },
    /// Anything else.
    #[error("{path} can't be opened: {cause}")]
    Other {
        /// The file.
        path: String,
        /// What the database says.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An open database, its schema brought up to date.
#[derive(Clone)]
pub struct Database {
    store: Arc<SqliteStore>,
}

impl Database {
    /// Opens a database; makes it where there is none, and migrates it.
    ///
    /// # Errors
    ///
    /// Where it can't be had. Whatever is there is left as it was.
    pub async fn open(url: &DatabaseUrl) -> Result<Self, OpenError> {
        Ok(Self { store: Arc::new(SqliteStore::open(&url.0).await?) })
    }

    /// The ports on this database.
    pub fn stores(&self) -> Stores {
        Stores { users: self.store.clone(), mailboxes: self.store.clone() }
    }

    /// Finds out whether the database answers.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), PortError> {
        self.store.ping().await
    }

    /// Finishes what was begun and lets go of the database. What is asked of the ports from then on fails.
    pub async fn close(&self) {
        self.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_something_else_is_refused_with_what_is_expected() {
        let error = "mysql://root@localhost/woosh".parse::<DatabaseUrl>().unwrap_err();
        assert!(error.to_string().contains("sqlite:"), "{error}");
    }
}
