use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

/// What makes a server for tests fast: what is lost in a crash of the machine was for a test.
pub(super) const FAST: [&str; 8] =
    ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "max_connections=500"];

/// Makes a data folder and runs a server on it until standard input closes, for whatever reason; then removes the
/// folder. Where the server ends by itself, so does this.
const SCRIPT: &str = r#"
folder=$PWD programs=$1; shift
exec 3<&0 </dev/null
"$programs/initdb" -D data -U woosh -A trust -E UTF8 --locale=C --no-sync --no-instructions >initdb.log || exit 1
"$programs/postgres" -D data -k "$folder" -c listen_addresses= "$@" & server=$!
( read -r _ <&3; kill -INT "$server" ) & watcher=$!
wait "$server"; status=$?
kill "$watcher" 2>/dev/null && exit "$status"
cd / && rm -rf -- "$folder"
"#;

/// A server of this machine's programs, in a temporary folder, on a socket in it. It ends with this value, and also
/// where the process is killed before.
pub(super) struct LocalServer {
    supervisor: Child,
    folder: TempDir,
}

impl LocalServer {
    pub(super) async fn start(programs: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("woosh-").tempdir_in(roomy_folder())?;
        let log = fs::File::create(folder.path().join("postgres.log"))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "woosh-postgres"])
            .arg(programs)
            .args(FAST)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        // Postgres refuses to run as root.
        if rustix::process::geteuid().is_root() {
            let (user, group) = unprivileged_user().context("neither a user postgres nor nobody to run it as")?;
            chown(folder.path(), Some(user), Some(group))?;
            command.uid(user).gid(group);
        }
        let supervisor = command.spawn().context("/bin/sh can't be run")?;
        let mut server = Self { supervisor, folder };
        let admin = server.admin();
        wait_until_it_answers(&admin, || server.ensure_alive()).await?;
        Ok(server)
    }

    /// How to connect to it as its owner.
    pub(super) fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(self.folder.path()).username("woosh").database("postgres")
    }

    fn ensure_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.supervisor.try_wait()? {
            let log = fs::read_to_string(self.folder.path().join("postgres.log")).unwrap_or_default();
            bail!("it ended at the start with {status}: {}", log.trim());
        }
        Ok(())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // Whether it could be waited for or not, the folder itself removes what is left.
        let _ = self.supervisor.wait();
    }
}

/// Connects again and again until it works, but stops where `ensure_alive` says that it never will.
pub(super) async fn wait_until_it_answers(
    admin: &PgConnectOptions,
    mut ensure_alive: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let start = Instant::now();
    loop {
        match admin.connect().await {
            Ok(connection) => return Ok(connection.close().await?),
            Err(error) if start.elapsed() > LIMIT => {
                return Err(error).context(format!("it does not answer after {} seconds", LIMIT.as_secs()));
            }
            Err(_) => ensure_alive()?,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The folder that holds `postgres` and `initdb`: one of `PATH`, else the newest of Debian's.
pub(super) fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .collect();
    versions.sort_unstable();
    folders.extend(versions.iter().rev().map(|version| format!("/usr/lib/postgresql/{version}/bin").into()));
    folders.into_iter().find(|folder| ["postgres", "initdb"].iter().all(|program| folder.join(program).is_file()))
}

/// Memory where there is plenty, since nothing here has to last; else the folder for temporary files.
fn roomy_folder() -> PathBuf {
    const PLENTY: u64 = 1 << 30;
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    if writable && free > PLENTY { memory.to_owned() } else { std::env::temp_dir() }
}

/// The user and group to run as in place of root.
fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields =
            users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
