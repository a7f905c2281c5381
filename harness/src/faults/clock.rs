//! Moves the clock that determines the `sent_at` of messages. On SQLite, that is the clock of the server, which
//! libfaketime moves. On Postgres, it is the clock of the database.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use crate::deployment::Deployment;

/// How far the clock is moved, in days: longer than the default lifetime of a message.
const DAYS: u32 = 31;
/// The name of the file from which libfaketime reads how far the clock is ahead.
const FILE: &str = "faketime";

/// Statements that add a function `clock_timestamp` to a Postgres database. The result of the function can be moved
/// ahead. On connections that are opened later, the function replaces the built-in function of this name.
const INSTALL: &str = "
CREATE TABLE public.moved_clock (ahead interval NOT NULL);
INSERT INTO public.moved_clock VALUES ('0');
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
    AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM public.moved_clock';
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
END $$;";

/// Returns the path of the library in Debian's package `libfaketime`, or an error if it is not installed.
pub(super) fn library() -> Result<PathBuf, String> {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().filter_map(Result::ok);
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries.into_iter().find(|path| path.is_file()).ok_or_else(|| "libfaketime is not installed".to_owned())
}

/// Returns environment variables for a server, so that a file in `folder` moves its clock. They make the server load
/// `library`, which is libfaketime, and libfaketime reads the file.
pub(super) fn variables(library: PathBuf, folder: &Path) -> std::io::Result<Vec<(&'static str, OsString)>> {
    write(folder, 0)?;
    Ok(vec![
        ("LD_PRELOAD", library.into()),
        ("FAKETIME_TIMESTAMP_FILE", folder.join(FILE).into()),
        // Seconds.
        ("FAKETIME_CACHE_DURATION", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ])
}

/// Prepares a Postgres database so that [`set`] can move its clock. Has to be called before the servers connect.
pub(super) async fn install(database: &crate::TestDatabase) -> anyhow::Result<()> {
    crate::deployment::run_sql(database, INSTALL).await
}

/// Moves the clock ahead, or back again.
pub(super) async fn set(deployment: &Deployment, ahead: bool) -> anyhow::Result<()> {
    let days = if ahead { DAYS } else { 0 };
    match deployment.database.folder() {
        Some(folder) => Ok(write(folder.path(), days)?),
        None => deployment.run_sql(&format!("UPDATE public.moved_clock SET ahead = '{days} days'")).await,
    }
}

fn write(folder: &Path, days: u32) -> std::io::Result<()> {
    // Renamed, so that the file is never read while it is incomplete.
    let incomplete = folder.join("faketime.new");
    fs::write(&incomplete, format!("+{days}d\n"))?;
    fs::rename(incomplete, folder.join(FILE))
}
