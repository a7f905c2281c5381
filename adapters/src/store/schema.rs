use sqlx::migrate::Migrator;

use super::OpenError;

/// A query that selects the version of the newest applied migration. The table of migrations exists in every database
/// that was ever migrated.
pub(crate) const SCHEMA_VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";

/// Returns an error if the schema version `found` is newer than all of `migrations`: then a newer version of the server
/// has migrated the database.
pub(crate) fn refuse_newer(location: &str, found: i64, migrations: &Migrator) -> Result<(), OpenError> {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found > known {
        return Err(OpenError::Newer { location: location.to_owned(), found, known });
    }
    Ok(())
}
