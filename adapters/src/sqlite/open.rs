use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};

use super::writer::Writer;
use tokio::time::{Instant, sleep};

use super::{SqliteStore, primary};
use crate::database::OpenError;
use crate::sessions::SessionMemory;
use crate::wakeups::Wakeups;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// What the header of our files says that they are: "woos". The first migration writes it.
const APPLICATION_ID: i64 = 0x776f_6f73;
/// How long to wait for another process that writes the same file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to leave off where SQLite itself does not wait.
const BUSY_BACK_OFF: Duration = Duration::from_millis(5);
/// `SQLITE_BUSY`.
const BUSY: i32 = 5;
/// Reading is short and from memory for the most part: more connections than this would only wait for processors.
const READERS: u32 = 4;

impl SqliteStore {
    /// Opens the file of a `sqlite:` URL; makes it where there is none, and migrates it.
    pub(crate) async fn open(url: &str) -> Result<Self, OpenError> {
        let options = options(url)?;
        let path = options.get_filename().display().to_string();
        create(options.get_filename())
            .map_err(|error| OpenError::Inaccessible { place: path.clone(), reason: error.to_string() })?;
        // Nothing is changed before it is known whose file this is.
        let mut connection = options.connect().await.map_err(|error| describe(&path, error))?;
        check(&path, &mut connection).await?;
        migrate(&mut connection).await.map_err(|error| match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => describe(&path, cause),
            other => OpenError::Other { place: path.clone(), cause: other.into() },
        })?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            // Opened at once: later there may be no file handles left.
            .min_connections(READERS)
            .connect_with(options.clone().read_only(true))
            .await
            .map_err(|error| describe(&path, error))?;
        let writer = Writer::start(connection, options);
        Ok(Self { writer, readers, sessions: SessionMemory::new().into(), wakeups: Wakeups::default() })
    }
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
    // FULL: a commit is on the disk before it is answered (D1). One sync serves all that the writer groups.
    Ok(options
        .create_if_missing(false)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT))
}

/// Makes an empty file where there is none, for its owner alone. The files that SQLite puts beside it get its rights.
fn create(path: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Brings the schema up to date, in one transaction that others wait for: of several servers that start at once on a new
/// file, one migrates it.
async fn migrate(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let start = Instant::now();
    // Changing the mode does not wait for others by itself.
    while let Err(error) = sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *connection).await {
        let busy = error.as_database_error().and_then(|cause| primary(&cause.code()?)) == Some(BUSY);
        if !busy || start.elapsed() > BUSY_TIMEOUT {
            return Err(error.into());
        }
        sleep(BUSY_BACK_OFF).await;
    }
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

/// Refuses a database that is not ours or comes from the future.
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
        return Err(OpenError::Foreign { place: path.to_owned() });
    }
    let found = SqliteStore::schema_version(connection).await.map_err(|error| describe(path, error))?;
    OpenError::unless_newer(path, found, &MIGRATIONS)
}

/// Says what an error means for a file.
fn describe(path: &str, error: sqlx::Error) -> OpenError {
    /// `SQLITE_PERM`, `SQLITE_READONLY` and `SQLITE_CANTOPEN`.
    const INACCESSIBLE: [i32; 3] = [3, 8, 14];
    /// `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
    const NOT_A_DATABASE: [i32; 2] = [11, 26];

    let place = path.to_owned();
    let database = error.as_database_error();
    match database.and_then(|cause| primary(&cause.code()?)) {
        Some(code) if NOT_A_DATABASE.contains(&code) => OpenError::NotADatabase { place },
        Some(code) if INACCESSIBLE.contains(&code) => {
            let reason = database.map(|cause| cause.message().to_owned()).unwrap_or_default();
            OpenError::Inaccessible { place, reason }
        }
        _ => OpenError::Other { place, cause: error.into() },
    }
}
