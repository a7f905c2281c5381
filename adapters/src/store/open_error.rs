/// Why a database can't be opened. Each error message is one line for the operator. `location` is a file, or a URL
/// without its password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL names no file, or has invalid options.
    #[error("{url} can't be used: {reason}")]
    Url {
        /// The URL.
        url: String,
        /// Why the URL can't be used.
        reason: String,
    },
    /// The file exists, but is not a SQLite database.
    #[error("{location} is not a SQLite database; it was not changed")]
    NotADatabase {
        /// The file.
        location: String,
    },
    /// The database belongs to another application.
    #[error("{location} is a database of another application; it was not changed")]
    Foreign {
        /// The file.
        location: String,
    },
    /// A newer version of the server has migrated the database.
    #[error("{location} was written by a newer Woosh (schema {found}, this one knows {known}); it was not changed")]
    Newer {
        /// The database.
        location: String,
        /// The version of the database's schema.
        found: i64,
        /// The newest schema version that this server knows.
        known: i64,
    },
    /// The file can't be read, written or created.
    #[error("{location} can't be opened or created: {reason} (does its folder exist, and is it writable?)")]
    Inaccessible {
        /// The file.
        location: String,
        /// The error message of the operating system or of SQLite.
        reason: String,
    },
    /// Another process has opened the file.
    #[error("{location} is in use by another server, process {process}; only one server can use a SQLite file")]
    InUse {
        /// The file.
        location: String,
        /// The identifier of the process that has opened the file.
        process: String,
    },
    /// A setting of the database would break the delivery contract.
    #[error("{location} can't be used: {reason}")]
    Setting {
        /// The database.
        location: String,
        /// The setting, its value, and what to do.
        reason: String,
    },
    /// The database could not be opened in time: it is unreachable, read-only or busy, for example.
    #[error("{location} is unavailable after {seconds} seconds: {reason}")]
    Unavailable {
        /// The database.
        location: String,
        /// The time for which the server tried to open the database, in seconds.
        seconds: u64,
        /// The error of the last attempt.
        reason: String,
    },
    /// Any other error.
    #[error("{location} can't be opened: {cause}")]
    Other {
        /// The database.
        location: String,
        /// The error of the database.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}
