use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::time::{Instant, sleep};

use crate::store::{OpenError, SCHEMA_VERSION, refuse_newer, sqlite_code};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// The application id in the header of Woosh's files: "woos" in ASCII. The first migration writes it.
const APPLICATION_ID: i64 = 0x776f_6f73;
/// How long to wait for a lock that another process holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before retrying a statement that ignores the busy timeout.
const BUSY_BACK_OFF: Duration = Duration::from_millis(5);
/// `SQLITE_BUSY`.
const BUSY: i32 = 5;
/// The connections that read pages, and those that read everything else. Reads are short and mostly served from memory, so more would only compete for processors.
const READERS: u32 = 4;

/// The page cache of the connection that writes to mailboxes, in KiB. It fills as needed.
const CACHE_KIB: i64 = 8192;
/// The pages in the WAL, of 4 KiB each, from which on a commit copies them to the file. The more, the more often a page has
/// changed until it is copied.
const WAL_PAGES: i64 = 2000;
/// The size in bytes to which the WAL shrinks after it has grown, because a long read kept its pages from being copied. Twice
/// its usual size.
const WAL_SIZE: i64 = 2 * WAL_PAGES * 4096;
/// The statements that a connection keeps prepared: all of them.
const CACHED_STATEMENTS: usize = 32;

/// An open file.
pub(super) struct OpenFile {
    /// The connection that writes everything but mailboxes.
    pub(super) connection: SqliteConnection,
    /// The options for opening another connection like it.
    pub(super) options: SqliteConnectOptions,
    /// The connection that writes to mailboxes.
    pub(super) mailbox_connection: Connection,
    /// Connections that read pages of mailboxes.
    pub(super) page_connections: Vec<Connection>,
    /// Connections that read everything else.
    pub(super) read_pool: SqlitePool,
}

/// Opens the file of a `sqlite:` URL and migrates it. Creates it if it does not exist.
pub(super) async fn open(url: &str) -> Result<OpenFile, OpenError> {
    let options = options(url)?;
    let path = options.get_filename().display().to_string();
    create(options.get_filename())
        .map_err(|error| OpenError::Inaccessible { location: path.clone(), reason: error.to_string() })?;
    // Checked first, so that a file that does not belong to Woosh stays unchanged.
    let mut connection = options.connect().await.map_err(|error| describe(&path, error))?;
    check(&path, &mut connection).await?;
    migrate(&mut connection).await.map_err(|error| match error {
        MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => describe(&path, cause),
        other => OpenError::Other { location: path.clone(), cause: other.into() },
    })?;

    let read_pool = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(BUSY_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        // Opened now, because later there may be no file handles left.
        .min_connections(READERS)
        .connect_with(options.clone().read_only(true))
        .await
        .map_err(|error| describe(&path, error))?;
    let describe = |error: rusqlite::Error| OpenError::Other { location: path.clone(), cause: error.into() };
    let mailbox_connection = open_for_mailboxes(options.get_filename()).map_err(describe)?;
    let page_connection = |_| open_for_pages(options.get_filename()).map_err(describe);
    let page_connections = (0..READERS).map(page_connection).collect::<Result<_, _>>()?;
    Ok(OpenFile { connection, options, mailbox_connection, page_connections, read_pool })
}

/// Opens a connection that writes to mailboxes, with the settings of [`options`].
fn open_for_mailboxes(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open_directly(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_SIZE)?;
    Ok(connection)
}

/// Opens a connection that reads pages.
fn open_for_pages(path: &Path) -> rusqlite::Result<Connection> {
    open_directly(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens a connection without the thread of sqlx's driver, so that a statement costs no hop between threads.
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
    // FULL: a commit is on the disk before it is answered (D1). One sync serves the whole batch.
    Ok(options
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("journal_size_limit", WAL_SIZE.to_string())
        .busy_timeout(BUSY_TIMEOUT))
}

/// Creates the database file if it does not exist: empty, and accessible to its owner only. SQLite then gives the WAL and the
/// shared-memory file the same permissions as the database file.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Migrates the schema in one transaction. If several servers start at once on a new file, one migrates it and the
/// others wait.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let start = Instant::now();
    // Changing the journal mode ignores the busy timeout.
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

/// Refuses a file that belongs to another application, or that a newer server has migrated.
async fn check(path: &str, connection: &mut SqliteConnection) -> Result<(), OpenError> {
    let (id, tables): (i64, i64) =
        sqlx::query_as("SELECT (SELECT application_id FROM pragma_application_id), count(*) FROM sqlite_schema")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| describe(path, error))?;
    if id == 0 && tables == 0 {
        return Ok(());
    }
    if id != APPLICATION_ID {
        return Err(OpenError::Foreign { location: path.to_owned() });
    }
    let found =
        sqlx::query_scalar(SCHEMA_VERSION).fetch_one(connection).await.map_err(|error| describe(path, error))?;
    refuse_newer(path, found, &MIGRATIONS)
}

/// Maps an error of SQLite to the reason why the file can't be opened.
fn describe(path: &str, error: sqlx::Error) -> OpenError {
    /// `SQLITE_PERM`, `SQLITE_READONLY` and `SQLITE_CANTOPEN`.
    const INACCESSIBLE: [i32; 3] = [3, 8, 14];
    /// `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
    const NOT_A_DATABASE: [i32; 2] = [11, 26];

    let location = path.to_owned();
    match sqlite_code(&error) {
        Some(code) if NOT_A_DATABASE.contains(&code) => OpenError::NotADatabase { location },
        Some(code) if INACCESSIBLE.contains(&code) => {
            let reason = error.as_database_error().map(|cause| cause.message().to_owned()).unwrap_or_default();
            OpenError::Inaccessible { location, reason }
        }
        _ => OpenError::Other { location, cause: error.into() },
    }
}
