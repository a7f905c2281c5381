use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::durability::Durability;

/// The shell script that supervises the Postgres server. The script creates a data folder, and runs the server. If the
/// server ends and the file `crashed` exists, the script deletes that file, and starts the server again as soon as the
/// file `down` does not exist. When standard input closes, the script stops the server, and deletes the folder.
const SCRIPT: &str = r#"
folder=$PWD programs=$1; shift
exec 3<&0 </dev/null
"$programs/initdb" -D data -U woosh -A trust -E UTF8 --locale=C --no-sync --no-instructions >initdb.log || exit 1
( read -r _ <&3; touch closed; kill -INT "$(cat server)" ) & watcher=$!
while :; do
    "$programs/postgres" -D data -k "$folder" -c listen_addresses= "$@" & server=$!
    echo "$server" >server
    # The watcher may have read the number of the server before.
    [ ! -e closed ] || kill -INT "$server"
    wait "$server"; status=$?
    [ -e crashed ] || break
    rm crashed
    while [ -e down ] && [ ! -e closed ]; do sleep 0.02; done
    [ ! -e closed ] || break
done
kill "$watcher" 2>/dev/null && exit "$status"
cd / && rm -rf -- "$folder"
"#;

/// A Postgres server that runs the programs installed on this machine, and listens on a socket in a temporary folder.
/// The server ends when this value is dropped or this process ends, even if this process is killed.
pub(super) struct LocalServer {
    supervisor: Child,
    folder: TempDir,
}

impl LocalServer {
    pub(super) async fn start(programs: &Path, durability: Durability) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("woosh-").tempdir_in(data_folder(durability))?;
        let log = fs::File::create(folder.path().join("postgres.log"))?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SCRIPT, "woosh-postgres"])
            .arg(programs)
            .args(durability.arguments())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        // Runs Postgres as another user, because it refuses to run as root.
        if rustix::process::geteuid().is_root() {
            let (user, group) = unprivileged_user()
                .context("Postgres does not run as root, and there is no user postgres or nobody")?;
            chown(folder.path(), Some(user), Some(group))?;
            command.uid(user).gid(group);
        }
        let supervisor = command.spawn().context("can't run /bin/sh")?;
        let mut server = Self { supervisor, folder };
        let admin = server.admin();
        wait_until_ready(&admin, || server.ensure_alive()).await?;
        Ok(server)
    }

    /// Returns the options to connect to the server as the Postgres superuser.
    pub(super) fn admin(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass().socket(self.folder.path()).username("woosh").database("postgres")
    }

    /// Stops the server at once, as a crash does. [`Self::start_again`] starts the server again.
    pub(super) fn crash(&self) -> anyhow::Result<()> {
        // `down` may be deleted again before the script finds out that the server has ended.
        for file in ["crashed", "down"] {
            fs::write(self.folder.path().join(file), "")?;
        }
        let id = fs::read_to_string(self.folder.path().join("server"))?.trim().parse().ok();
        let id = id.and_then(Pid::from_raw).context("the server has no process id")?;
        Ok(kill_process(id, Signal::QUIT)?)
    }

    /// Lets the supervisor start the server again. Does not wait until the server is ready.
    pub(super) fn start_again(&self) -> std::io::Result<()> {
        fs::remove_file(self.folder.path().join("down"))
    }

    fn ensure_alive(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.supervisor.try_wait()? {
            let log = fs::read_to_string(self.folder.path().join("postgres.log")).unwrap_or_default();
            bail!("the server ended during its start with {status}: {}", log.trim());
        }
        Ok(())
    }
}

impl Drop for LocalServer {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        // If the supervisor was killed before it deleted the folder, dropping `folder` deletes the folder.
        let _ = self.supervisor.wait();
    }
}

/// Tries to connect until a connection succeeds. After each failed attempt, calls `ensure_alive`, and fails if that
/// fails. Gives up after 60 seconds.
pub(crate) async fn wait_until_ready(
    admin: &PgConnectOptions,
    mut ensure_alive: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let start = Instant::now();
    loop {
        match admin.connect().await {
            Ok(connection) => return Ok(connection.close().await?),
            Err(error) if start.elapsed() > LIMIT => {
                return Err(error).context(format!("the server does not answer after {} seconds", LIMIT.as_secs()));
            }
            Err(_) => ensure_alive()?,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the folder that contains `postgres` and `initdb`: the first such folder in `PATH`, or else the folder of the
/// newest version that Debian's packages have installed.
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

/// Returns the folder in which to create the data folder. If the data need not be durable and enough memory is free,
/// this is `/dev/shm`, which is in memory. Otherwise it is the folder for temporary files.
fn data_folder(durability: Durability) -> PathBuf {
    const ENOUGH: u64 = 1 << 30;
    let memory = Path::new("/dev/shm");
    let free = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let writable = rustix::fs::access(memory, rustix::fs::Access::WRITE_OK).is_ok();
    if durability == Durability::Fast && writable && free > ENOUGH { memory.to_owned() } else { std::env::temp_dir() }
}

/// Returns the ids of an unprivileged user and of its group. If this process runs as root, Postgres runs as this user,
/// because Postgres refuses to run as root.
fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields =
            users.lines().map(|line| line.split(':')).find(|fields| fields.clone().next() == Some(name))?;
        Some((fields.nth(2)?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}
