use std::path::Path;

use super::{Fault, clock};
use crate::deployment::Deployment;
use crate::postgres::{self, OwnPostgres};
use crate::temp_folder::TempFolder;
use crate::{Backend, TestDatabase};

/// The script that mounts a small file system on the folder `$1`. It is small so that a fault can fill it quickly.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=64m,mode=700 woosh "$1""#;
/// The script that mounts an ext4 file system on the folder `$1`. Unlike the tmpfs of [`SMALL_DISK`], an ext4 file
/// system can be turned read-only, as after a disk error.
const FALLIBLE_DISK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
truncate -s 64M "$1.img" && mkfs.ext4 -q -F "$1.img" && mount -o loop "$1.img" "$1"
"#;

/// The free space in bytes below which a server stores nothing new: a quarter of the size of [`SMALL_DISK`].
const MIN_FREE_SPACE: &str = "16777216";

/// A server on which a fault can be injected, or why there is none on this machine.
pub(super) enum Prepared {
    Ready(Deployment),
    Skipped(String),
}

/// Starts a server on a fresh database, prepared so that `fault` can be injected.
pub(super) async fn prepare(program: &Path, backend: Backend, fault: Fault) -> anyhow::Result<Prepared> {
    if backend == Backend::Postgres
        && let Err(reason) = postgres::probe()
    {
        return Ok(Prepared::Skipped(reason));
    }
    let mut variables = Vec::new();
    let database = match (backend, fault) {
        (Backend::Sqlite, Fault::DiskFull | Fault::ReadOnly) => {
            let disk = if fault == Fault::DiskFull { SMALL_DISK } else { FALLIBLE_DISK };
            variables = vec![("WOOSH_MIN_FREE_SPACE", MIN_FREE_SPACE.into())];
            match TempFolder::mounted(disk) {
                Ok(folder) => TestDatabase::create_in(folder)?,
                Err(error) => return Ok(Prepared::Skipped(format!("no disk can be mounted: {error}"))),
            }
        }
        (Backend::Sqlite, Fault::Clock) => {
            let folder = TempFolder::new()?;
            match clock::library() {
                Ok(library) => variables = clock::variables(library, folder.path())?,
                Err(reason) => return Ok(Prepared::Skipped(reason)),
            }
            TestDatabase::create_in(folder)?
        }
        (Backend::Postgres, Fault::Clock) => {
            let database = TestDatabase::create(backend).await?;
            clock::install(&database).await?;
            database
        }
        (Backend::Postgres, Fault::Restarted) => match OwnPostgres::probe() {
            Ok(()) => TestDatabase::create_on_own_postgres().await?,
            Err(reason) => return Ok(Prepared::Skipped(reason.to_owned())),
        },
        _ => TestDatabase::create(backend).await?,
    };
    Ok(Prepared::Ready(Deployment::start_fallible(program, database, 1, variables).await?))
}
