//! The URL of a database.

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

/// The URL of a database, and whether to accept a Postgres server whose settings let it lose messages in a crash. Its
/// `Display` and `Debug` forms hide the password.
#[derive(Clone)]
pub struct DatabaseUrl {
    location: Location,
    allow_fsync_off: bool,
}

/// A parsed URL.
#[derive(Clone)]
pub(crate) enum Location {
    /// The whole `sqlite:` URL.
    Sqlite(String),
    /// The connection options of a Postgres server.
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// Accepts a Postgres server whose `fsync` or `full_page_writes` is off. Such a server can lose stored messages
    /// when its machine crashes, which breaks promise D1 of the delivery contract (durable). Call this only for tests,
    /// and for servers whose storage is durable by itself.
    #[must_use]
    pub fn allow_fsync_off(self) -> Self {
        Self { allow_fsync_off: true, ..self }
    }

    /// Returns the parsed URL.
    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// Returns whether [`Self::allow_fsync_off`] was called.
    pub fn allows_fsync_off(&self) -> bool {
        self.allow_fsync_off
    }
}

/// The text is not a database URL. The error message does not repeat the text, which may contain a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The scheme is neither a SQLite nor a Postgres scheme.
    #[error("is not the URL of a database: it has to start with sqlite: or postgres://")]
    Unknown,
    /// The scheme is a Postgres scheme, but the rest of the URL can't be parsed.
    #[error("is not the URL of a Postgres database, like postgres://user:password@host:5432/database")]
    Postgres,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let location = if text.starts_with("sqlite:") {
            Location::Sqlite(text.to_owned())
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Location::Postgres(Box::new(text.parse().map_err(|_| DatabaseUrlError::Postgres)?))
        } else {
            return Err(DatabaseUrlError::Unknown);
        };
        Ok(Self { location, allow_fsync_off: false })
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            // The options after the file name may contain a secret.
            Location::Sqlite(url) => f.write_str(url.split('?').next().unwrap_or(url)),
            Location::Postgres(options) => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_with_another_scheme_is_an_error_that_names_the_supported_schemes() {
        let error = "mysql://root@localhost/woosh".parse::<DatabaseUrl>().unwrap_err();
        assert!(error.to_string().contains("sqlite:") && error.to_string().contains("postgres:"), "{error}");
    }

    #[test]
    fn an_invalid_postgres_url_is_an_error_that_hides_the_password() {
        for text in ["postgres://woosh:hunter2@localhost:port/woosh", "postgres://woosh:hunter2@host?sslmode=maybe"] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert_eq!(error, DatabaseUrlError::Postgres);
        }
    }

    #[test]
    fn display_and_debug_hide_the_password() {
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
