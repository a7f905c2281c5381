use std::path::Path;

use rusqlite::Connection;
use rustix::fs::statvfs;
use woosh_domain::ports::FreeSpace;

use crate::store::SqlError;

/// Returns two values: the free space of the file system that has the database file, and the space of the pages in the
/// database file that hold no data.
pub(super) fn free_space(connection: &Connection, path: &Path) -> Result<FreeSpace, SqlError> {
    let system = statvfs(path).map_err(|error| SqlError::FreeSpace(error.into()))?;
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let in_files = pragma("freelist_count")?.saturating_mul(pragma("page_size")?);
    Ok(FreeSpace {
        on_disk: system.f_bavail.saturating_mul(system.f_frsize),
        in_files: u64::try_from(in_files).unwrap_or_default(),
    })
}
