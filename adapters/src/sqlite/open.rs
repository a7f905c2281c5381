use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::time::{Instant, sleep};

use super::file_guard::{FileGuard, FileLock};
use crate::store::{OpenError, OpenFailure, SCHEMA_VERSION, refuse_newer};
use crate::transient::{is_transient_code, sqlite_code};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The application id in the header of Woosh's files: "woos" in ASCII. The first migration writes it.
const APPLICATION_ID: i64 = 0x776f_6f73;
/// Maximum time to wait for a lock that another connection or process holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Delay before the statement that sets the journal mode is tried again. SQLite does not apply [`BUSY_TIMEOUT`] to this
/// statement.
const BUSY_BACK_OFF: Duration = Duration::from_millis(5);
/// SQLite's result code `SQLITE_BUSY`.
const BUSY: i32 = 5;
/// Number of connections that read pages of mailboxes, and also the number of connections that read all other data.
/// Reads are short and mostly served from memory, so more connections would only compete for processors.
const READERS: u32 = 4;

/// Maximum size of SQLite's page cache for the connection that writes to mailboxes, in KiB.
const CACHE_KIB: i64 = 8192;
/// Size of the WAL, in pages of 4 KiB, at which a commit starts a checkpoint, which copies the pages to the database
/// file. A page that changed several times is copied only once, so a larger WAL saves copies.
const WAL_PAGES: i64 = 2000;
/// Size in bytes to which the WAL shrinks after it has grown: twice its usual size. While a long read runs, SQLite
/// can't copy all pages of the WAL to the database file, so the WAL grows.
const WAL_SIZE: i64 = 2 * WAL_PAGES * 4096;
/// Number of prepared statements that a connection caches: more than the number of different statements that it runs.
const CACHED_STATEMENTS: usize = 32;

/// The connections to an open database file.
pub(super) struct OpenFile {
    /// The connection that writes all data except mailboxes.
    pub(super) connection: SqliteConnection,
    /// The options with which `connection` was opened, to open another connection if `connection` fails.
    pub(super) options: SqliteConnectOptions,
    /// The connection that writes to mailboxes.
    pub(super) mailbox_connection: Connection,
    /// Connections that read pages of mailboxes.
    pub(super) page_connections: Vec<Connection>,
    /// Connections that read all data except pages of mailboxes.
    pub(super) read_pool: SqlitePool,
    /// Detects that the file was removed or replaced.
    pub(super) guard: Arc<FileGuard>,
}

/// Opens the database file of a `sqlite:` URL and migrates its schema. Creates the file if it does not exist.
pub(super) async fn open(url: &str) -> Result<OpenFile, OpenFailure> {
    let options = options(url)?;
    let path = options.get_filename().display().to_string();
    let inaccessible = |error: io::Error| OpenError::Inaccessible { location: path.clone(), reason: error.to_string() };
    create(options.get_filename()).map_err(inaccessible)?;
    let lock = FileLock::acquire(options.get_filename()).await?;
    // Checked before migrating, so that a file that does not belong to Woosh stays unchanged.
    let mut connection = options.connect().await.map_err(|error| describe(&path, error))?;
    check(&path, &mut connection).await?;
    migrate(&mut connection).await.map_err(|error| match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => describe(&path, cause),
        other => OpenError::Other { location: path.clone(), cause: other.into() }.into(),
    })?;

    let read_pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // All connections are opened now, because later the process may have no file handles left.
        .min_connections(READERS)
        .connect_with(options.clone().read_only(true))
        .await
        .map_err(|error| describe(&path, error))?;
    let describe = |error: rusqlite::Error| match error {
        rusqlite::Error::SqliteFailure(cause, _) if is_transient_code(cause.extended_code) => {
            OpenFailure::Transient(error.to_string())
        }
        error => OpenError::Other { location: path.clone(), cause: error.into() }.into(),
    };
    let mailbox_connection = open_for_mailboxes(options.get_filename()).map_err(describe)?;
    let page_connection = |_| open_for_pages(options.get_filename()).map_err(describe);
    let page_connections = (0..READERS).map(page_connection).collect::<Result<_, _>>()?;
    // The connections above have created the WAL.
    let guard = Arc::new(FileGuard::new(options.get_filename(), lock).map_err(inaccessible)?);
    Ok(OpenFile { guard, connection, options, mailbox_connection, page_connections, read_pool })
}

/// Opens a connection that writes to mailboxes, with the same durability settings as [`options`].
fn open_for_mailboxes(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_directly(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_SIZE)?;
    Ok(connection)
}

/// Opens a connection that reads pages of mailboxes.
fn open_for_pages(path: &Path) -> rusqlite::Result<Connection> {
    open_directly(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a connection with `rusqlite`, which runs statements on the calling thread. sqlx would run them on another
/// thread, and switch threads for each statement.
fn open_directly(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    Ok(connection)
}

fn options(url: &str) -> Result<SqliteConnectOptions, OpenError> {
    let refuse = |reason: String| OpenError::Url { url: url.split('?').next().unwrap_or(url).to_owned(), reason };
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(refuse("a database in memory would lose messages; name a file".to_owned()));
    }
    let options: SqliteConnectOptions = url.parse().map_err(|error: sqlx::Error| refuse(error.to_string()))?;
    if options.get_filename().as_os_str().is_empty() {
        return Err(refuse("it names no file".to_owned()));
    }
    // FULL: each commit is synced to the disk before its jobs are answered (D1).
    Ok(options
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", WAL_SIZE.to_string())
        .busy_timeout(BUSY_TIMEOUT))
}

/// Creates the database file if it does not exist: empty, and accessible to its owner only. SQLite then gives the WAL
/// and the shared-memory file the same permissions as the database file.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Migrates the schema in one transaction. Waits if another program, such as a backup, holds a lock on the file.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let start = Instant::now();
    // SQLite ignores the busy timeout when it changes the journal mode.
    while let Err(error) = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
        let busy = sqlite_code(&error) == Some(BUSY);
        if !busy || start.elapsed() > BUSY_TIMEOUT {
            return Err(error.into());
        }
        sleep(BUSY_BACK_OFF).await;
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Refuses a file that belongs to another application, or that a newer version of the server has migrated.
async fn check(path: &str, connection: &mut SqliteConnection) -> Result<(), OpenFailure> {
    let (id, tables): (i64, i64) =
        sqlx::query_as("SELECT (SELECT application_id FROM pragma_application_id), count(*) FROM sqlite_schema")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| describe(path, error))?;
    if id == 0 && tables == 0 {
        return Ok(());
    }
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign { location: path.to_owned() }.into());
    }
    let found =
        sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await.map_err(|error| describe(path, error))?;
    Ok(refuse_newer(path, found, &MIGRATIONS)?)
}

/// Maps an error of SQLite to the reason why the file can't be opened.
fn describe(path: &str, error: sqlx::Error) -> OpenFailure {
    /// `SQLITE_PERM` and `SQLITE_CANTOPEN`. The path is probably wrong, so there is no use in waiting.
    const INACCESSIBLE: [i32; 2] = [3, 14];
    /// `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
    const NOT_A_DATABASE: [i32; 2] = [11, 26];

    let location = path.to_owned();
    match sqlite_code(&error) {
        Some(code) if NOT_A_DATABASE.contains(&code) => OpenError::NotADatabase { location }.into(),
        Some(code) if INACCESSIBLE.contains(&code) => {
            let reason = error.as_database_error().map(|cause| cause.message().to_owned()).unwrap_or_default();
            OpenError::Inaccessible { location, reason }.into()
        }
        _ => OpenFailure::new(path, error),
    }
}
