use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::store::{OpenError, SqlError};

/// How long to wait for another server to stop, so that a new server can start while the old one shuts down.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Delay between two attempts to lock the file.
const BACK_OFF: Duration = Duration::from_millis(20);

/// Protects a database file from what would break the delivery contract: a second server on the same file, and the
/// removal or replacement of the file while this server runs.
///
/// The lock is held on a file beside the database, whose name ends in `-lock`. It can't be held on the database file:
/// closing any handle of that file releases the locks of SQLite
/// (<https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>). The
/// operating system releases the lock when the process ends, however it ends.
pub(super) struct FileGuard {
    /// The paths of the database file and its write-ahead log (WAL), each with the identity of the file that this
    /// process opened.
    files: [(PathBuf, Identity); 2],
    /// Whether the last check found that the database file or its WAL was removed or replaced.
    lost: AtomicBool,
    /// `None` after [`Self::release`].
    lock: Mutex<Option<FileLock>>,
}

/// Identifies a file by the number of its file system and by its inode number.
type Identity = (u64, u64);

/// The lock on a database file.
pub(super) struct FileLock {
    path: PathBuf,
    file: File,
}

impl FileLock {
    /// Locks the database file at `path` for this process.
    ///
    /// # Errors
    ///
    /// If another process holds the lock and does not release it within [`TIMEOUT`]. The error contains the identifier
    /// of that process.
    pub(super) async fn acquire(path: &Path) -> Result<Self, OpenError> {
        let location = path.display().to_string();
        let inaccessible =
            |error: io::Error| OpenError::Inaccessible { location: location.clone(), reason: error.to_string() };
        let path = beside(path, "-lock");
        let start = Instant::now();
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(inaccessible)?;
            match file.try_lock() {
                // A server that stops deletes its lock file, perhaps after this process opened it. A lock on a deleted
                // file protects nothing, so the file at the path has to be the locked one.
                Ok(()) if identity(&path).ok() == Some(identity_of(&file.metadata().map_err(inaccessible)?)) => {
                    let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
                    written.map_err(inaccessible)?;
                    return Ok(Self { path, file });
                }
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if start.elapsed() < TIMEOUT => sleep(BACK_OFF).await,
                Err(TryLockError::WouldBlock) => {
                    let mut process = String::new();
                    file.read_to_string(&mut process).map_err(inaccessible)?;
                    return Err(OpenError::InUse { location, process: process.trim().to_owned() });
                }
                Err(TryLockError::Error(error)) => return Err(inaccessible(error)),
            }
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Errors don't matter: closing the file releases the lock, and the next server can lock a file that remains.
        let _ = fs::remove_file(&self.path);
        let _ = self.file.unlock();
    }
}

impl FileGuard {
    /// Starts to guard the database file at `path` and its write-ahead log (WAL). The WAL has to exist.
    pub(super) fn new(path: &Path, lock: FileLock) -> io::Result<Self> {
        let file = |path: PathBuf| identity(&path).map(|identity| (path, identity));
        let files = [file(path.to_owned())?, file(beside(path, "-wal"))?];
        Ok(Self { files, lost: AtomicBool::new(false), lock: Mutex::new(Some(lock)) })
    }

    /// Checks that the database file and its WAL are still those that this process opened. Costs only two system calls,
    /// and is called before each commit.
    ///
    /// # Errors
    ///
    /// If one of the files was removed or replaced. The operator has to put the file back, or to restart the server.
    pub(super) fn check(&self) -> Result<(), SqlError> {
        let is_lost = |(path, expected): &&(PathBuf, Identity)| match identity(path) {
            Ok(found) => found != *expected,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let lost = self.files.iter().find(is_lost).map(|(path, _)| path.display().to_string());
        let is_change = self.lost.swap(lost.is_some(), Ordering::Relaxed) != lost.is_some();
        match lost {
            None => {
                if is_change {
                    tracing::info!("the files of the database are back");
                }
                Ok(())
            }
            Some(file) => {
                if is_change {
                    tracing::error!(
                        "{file} was removed or replaced while the server runs; put it back, or restart the server"
                    );
                }
                Err(SqlError::FileLost(file))
            }
        }
    }

    /// Returns the path of the database file.
    pub(super) fn path(&self) -> &Path {
        &self.files[0].0
    }

    /// Releases the lock. Call this only after all connections are closed.
    pub(super) fn release(&self) {
        drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|metadata| identity_of(&metadata))
}

fn identity_of(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// Returns the path of a file beside the database file: the path of the database file with `suffix` appended.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
