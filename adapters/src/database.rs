//! The database behind the ports.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use woosh_domain::ports::{Devices, Mailboxes, PortError, Sessions, Stores, Users};

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::wakeups::Wakeups;

/// Where a database is. Its `Display` and `Debug` forms hide a password.
#[derive(Clone)]
pub struct DatabaseUrl(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(String),
    Postgres(Box<PgConnectOptions>),
}

/// A text is no URL of a database. The text is not repeated, for it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// It starts like no database that there is.
    #[error("is not the URL of a database: it has to start with sqlite: or postgres://")]
    Unknown,
    /// It starts well, and goes on in a way that can't be read.
    #[error("is not the URL of a Postgres database, like postgres://user:password@host:5432/database")]
    Postgres,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("sqlite:") {
            Ok(Self(Kind::Sqlite(text.to_owned())))
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let options = text.parse().map_err(|_| DatabaseUrlError::Postgres)?;
            Ok(Self(Kind::Postgres(Box::new(options))))
        } else {
            Err(DatabaseUrlError::Unknown)
        }
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            // What comes after the file are options, and nobody's business.
            Kind::Sqlite(url) => f.write_str(url.split('?').next().unwrap_or(url)),
            Kind::Postgres(options) => {
                let (user, host) = (options.get_username(), options.get_host());
                let database = options.get_database().unwrap_or(user);
                match options.get_socket() {
                    Some(socket) => write!(f, "postgres:///{database}?host={}&user={user}", socket.display()),
                    None => write!(f, "postgres://{user}@{host}:{}/{database}", options.get_port()),
                }
            }
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// Why a database was not opened. Each text is one line, for the operator. The place is a file, or a URL without its
/// password.
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
    #[error("{place} is not a SQLite database; it was left as it is")]
    NotADatabase {
        /// The file.
        place: String,
    },
    /// There is a database, and it belongs to something else.
    #[error("{place} is a database of something else than Woosh; it was left as it is")]
    Foreign {
        /// The file.
        place: String,
    },
    /// A newer server has been there.
    #[error("{place} was written by a newer Woosh (schema {found}, this one knows {known}); it was left as it is")]
    Newer {
        /// Where it is.
        place: String,
        /// The version of its schema.
        found: i64,
        /// The newest version that this server knows.
        known: i64,
    },
    /// The file can't be read, written or made.
    #[error("{place} can't be opened or made: {reason} (does its folder exist, and may it be written?)")]
    Inaccessible {
        /// The file.
        place: String,
        /// What the system says.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("{place} is out of reach, also after {seconds} seconds: {reason}")]
    OutOfReach {
        /// Where it should be.
        place: String,
        /// How long it was tried.
        seconds: u64,
        /// What the system says.
        reason: String,
    },
    /// Anything else.
    #[error("{place} can't be opened: {cause}")]
    Other {
        /// Where it is.
        place: String,
        /// What the database says.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl OpenError {
    /// Refuses a schema that is newer than the newest that `migrations` make.
    pub(crate) fn unless_newer(place: &str, found: i64, migrations: &Migrator) -> Result<(), Self> {
        let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
        if found > known {
            return Err(Self::Newer { place: place.to_owned(), found, known });
        }
        Ok(())
    }
}

/// What a database has to offer.
#[async_trait]
pub(crate) trait Backend: Users + Devices + Sessions + Mailboxes {
    /// Finds out whether the database answers.
    async fn ping(&self) -> Result<(), PortError>;

    /// Whom it wakes.
    fn wakeups(&self) -> &Wakeups;

    /// Finishes what was begun and lets go of the database.
    async fn close(&self);
}

/// An open database, its schema brought up to date.
#[derive(Clone)]
pub struct Database(Arc<dyn Backend>);

impl Database {
    /// Opens a database and migrates it; makes it where it is a file that is not there. Where it is a server that is out
    /// of reach, tries again for as long as `patience` lasts.
    ///
    /// # Errors
    ///
    /// Where it can't be had. Whatever is there is left as it was.
    pub async fn open(url: &DatabaseUrl, patience: Duration) -> Result<Self, OpenError> {
        Ok(match &url.0 {
            Kind::Sqlite(url) => Self(Arc::new(SqliteStore::open(url).await?)),
            Kind::Postgres(options) => Self(Arc::new(PostgresStore::open(options, &url.to_string(), patience).await?)),
        })
    }

    /// The ports on this database.
    pub fn stores(&self) -> Stores {
        Stores {
            users: self.0.clone(),
            devices: self.0.clone(),
            sessions: self.0.clone(),
            mailboxes: self.0.clone(),
            wakeups: Arc::new(self.0.wakeups().clone()),
        }
    }

    /// Ends all waiting for messages, now and from now on, so that whoever stops need not wait for it.
    pub fn close_wakeups(&self) {
        self.0.wakeups().close();
    }

    /// Finds out whether the database answers.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub async fn ping(&self) -> Result<(), PortError> {
        self.0.ping().await
    }

    /// Finishes what was begun and lets go of the database. What is asked of the ports from then on fails.
    pub async fn close(&self) {
        self.0.close().await;
    }
}

/// Names the schema that this version gives a Postgres database: another schema has another name.
pub fn postgres_schema() -> String {
    let migrations = crate::postgres::migrations().iter();
    let bytes = migrations.flat_map(|migration| migration.checksum.iter().copied());
    let digest =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{digest:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_something_else_is_refused_with_what_is_expected() {
        let error = "mysql://root@localhost/woosh".parse::<DatabaseUrl>().unwrap_err();
        assert!(error.to_string().contains("sqlite:") && error.to_string().contains("postgres:"), "{error}");
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_its_password() {
        for text in ["postgres://woosh:hunter2@localhost:port/woosh", "postgres://woosh:hunter2@host?sslmode=maybe"] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error, DatabaseUrlError::Postgres);
        }
    }

    #[test]
    fn the_password_of_a_url_is_hidden() {
        for (text, shown) in [
            ("sqlite:mail.db?password=hunter2", "sqlite:mail.db"),
            ("postgres://woosh:hunter2@db.example:5433/mail", "postgres://woosh@db.example:5433/mail"),
            ("postgresql://db.example/mail?user=woosh&password=hunter2", "postgres://woosh@db.example:5432/mail"),
            (
                "postgres:///mail?host=/run/postgres&user=woosh&password=hunter2",
                "postgres:///mail?host=/run/postgres&user=woosh",
            ),
        ] {
            let url: DatabaseUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
        }
    }
}
