use std::fs;
use std::io::{self, Write as _};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use super::{Fault, clock};
use crate::deployment::Deployment;
use crate::{Backend, ServerProcess};

/// The name of the file that fills a disk.
const FILLER: &str = "filler";
/// Turns the file system at `$1` read-only, as a disk error does. The journal of the file system remains, and
/// [`REPAIR_DISK`] applies it.
const FAIL_DISK: &str = r#"mount -o remount,abort "$1""#;
/// Repairs the file system at `$1` after [`FAIL_DISK`]: unmounts it, corrects its errors, and mounts it again.
const REPAIR_DISK: &str = r#"
PATH=$PATH:/usr/sbin:/sbin
umount "$1" || exit
e2fsck -p "$1.img"
# 1: errors were corrected.
[ $? -le 1 ] && mount -o loop "$1.img" "$1"
"#;

/// Begins a fault. Returns a note for the report, if there is anything to note.
pub(super) async fn begin(fault: Fault, deployment: &mut Deployment) -> anyhow::Result<Option<String>> {
    match fault {
        Fault::Killed => deployment.kill().await?,
        Fault::Stopped => deployment.signal(Signal::STOP)?,
        Fault::Clock => clock::set(deployment, true).await?,
        Fault::ReadOnly if deployment.database.backend() == Backend::Sqlite => folder_script(deployment, FAIL_DISK)?,
        Fault::ReadOnly => {
            set_read_only(deployment, "SET default_transaction_read_only = on").await?;
            // Sessions keep the default with which they began.
            deployment.end_connections().await?;
        }
        Fault::DiskFull => fill(deployment)?,
        Fault::FileRemoved => deployment.remove_file(None)?,
        Fault::FileReplaced => {
            let file = deployment.file()?;
            let copy = file.with_extension("copy");
            fs::copy(&file, &copy)?;
            deployment.remove_file(Some(&copy))?;
        }
        Fault::SecondServer => return second_server(deployment).await.map(Some),
        Fault::Silent => deployment.network()?.silence_all(),
        Fault::Cut => deployment.network()?.cut().await,
        Fault::Terminated => deployment.end_connections().await?,
        Fault::Restarted => deployment.own_postgres()?.crash()?,
    }
    Ok(None)
}

/// Ends a fault.
pub(super) async fn end(fault: Fault, deployment: &mut Deployment) -> anyhow::Result<()> {
    match fault {
        Fault::Killed => deployment.restart().await,
        Fault::Stopped => deployment.signal(Signal::CONT),
        Fault::Clock => clock::set(deployment, false).await,
        Fault::ReadOnly if deployment.database.backend() == Backend::Sqlite => {
            deployment.kill().await?;
            folder_script(deployment, REPAIR_DISK)?;
            deployment.restart().await
        }
        Fault::ReadOnly => set_read_only(deployment, "RESET default_transaction_read_only").await,
        Fault::DiskFull => Ok(fs::remove_file(deployment.file()?.with_file_name(FILLER))?),
        Fault::FileRemoved | Fault::FileReplaced => deployment.put_file_back(),
        Fault::SecondServer | Fault::Terminated => Ok(()),
        Fault::Silent | Fault::Cut => {
            deployment.network()?.restore();
            Ok(())
        }
        Fault::Restarted => deployment.own_postgres()?.start_again(),
    }
}

async fn set_read_only(deployment: &Deployment, change: &str) -> anyhow::Result<()> {
    let name = deployment.database.postgres_name().context("the database has no name")?;
    deployment.run_sql(&format!("ALTER DATABASE {name} {change}")).await
}

fn folder_script(deployment: &Deployment, script: &str) -> anyhow::Result<()> {
    Ok(deployment.database.folder().context("the database has no folder")?.run(script)?)
}

fn fill(deployment: &Deployment) -> anyhow::Result<()> {
    let mut filler = fs::File::create(deployment.file()?.with_file_name(FILLER))?;
    // The server may have taken the rest meanwhile.
    for size in [1 << 20, 4096, 1] {
        let zeros = vec![0; size];
        let full = loop {
            if let Err(error) = filler.write_all(&zeros) {
                break error;
            }
        };
        if full.kind() != io::ErrorKind::StorageFull {
            return Err(full).context("can't fill the disk");
        }
    }
    Ok(())
}

/// Tries to start a second server on the same database. Returns a note for the report. Fails if the second server
/// starts, or if its error does not name the process of the first server.
async fn second_server(deployment: &Deployment) -> anyhow::Result<String> {
    let started = ServerProcess::start(&deployment.program, deployment.database.clone(), 0).await;
    let error = started.err().context("a second server started on the same file")?.to_string();
    let process = deployment.servers[0].id().context("the first server has ended")?.to_string();
    ensure!(error.contains(&process), "the second server did not name process {process}: {error}");
    Ok(format!("the second server ended and named process {process}"))
}
