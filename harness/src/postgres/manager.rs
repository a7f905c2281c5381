use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot};

use super::durability::Durability;
use super::provider::Server;
use super::template;

/// A handle to the thread that runs a Postgres server, and that creates and drops databases on it.
pub(super) struct Manager {
    commands: mpsc::UnboundedSender<Command>,
    admin: PgConnectOptions,
    owner: String,
    created: AtomicU64,
}

enum Command {
    Create { name: String, done: oneshot::Sender<anyhow::Result<()>> },
    Drop { name: String, done: std::sync::mpsc::Sender<()> },
}

impl Manager {
    /// Starts a Postgres server or connects to one, prepares the server for tests, and prints to standard error where
    /// the server is from, such as Docker.
    pub(super) async fn start(durability: Durability) -> anyhow::Result<Self> {
        let owner = format!("{:016x}", fastrand::u64(..));
        let (commands, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let session = template::session_name(&owner);
        std::thread::Builder::new()
            .name("woosh-postgres".to_owned())
            .spawn(move || run(&session, durability, ready, received))
            .context("can't start a thread for Postgres")?;
        let admin = started.await.context("the thread for Postgres panicked")??;
        Ok(Self { commands, admin, owner, created: AtomicU64::new(0) })
    }

    /// Creates a database. Returns its name and URL.
    pub(super) async fn create(&self) -> anyhow::Result<(String, String)> {
        let name = template::database_name(&self.owner, self.created.fetch_add(1, Ordering::Relaxed));
        let (done, created) = oneshot::channel();
        self.commands
            .send(Command::Create { name: name.clone(), done })
            .ok()
            .context("the thread for Postgres has ended")?;
        created.await.context("the thread for Postgres has ended")??;
        let url = template::url(&self.admin, &name);
        Ok((name, url))
    }

    /// Drops a database, and waits until it is dropped.
    pub(super) fn drop(&self, name: String) {
        let (done, dropped) = std::sync::mpsc::channel();
        if self.commands.send(Command::Drop { name, done }).is_ok() {
            // Ignores an error, which means that the thread has ended and can't drop the database. Then either the
            // server has ended too, or another process drops the database in its sweep.
            let _ = dropped.recv();
        }
    }
}

/// The body of the thread: starts a Postgres server or connects to one, then creates and drops databases as commanded
/// until this process ends.
fn run(
    session: &str,
    durability: Durability,
    ready: oneshot::Sender<anyhow::Result<PgConnectOptions>>,
    commands: mpsc::UnboundedReceiver<Command>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("can't start a runtime for Postgres"));
            return;
        }
    };
    runtime.block_on(serve(session, durability, ready, commands));
}

async fn serve(
    session: &str,
    durability: Durability,
    ready: oneshot::Sender<anyhow::Result<PgConnectOptions>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let prepared = async {
        let server = Server::start(durability).await?;
        let admin = server.admin.clone().application_name(session);
        let mut connection = admin.connect().await.with_context(|| format!("{} does not answer", server.origin))?;
        template::sweep(&mut connection).await?;
        template::ensure(&mut connection, &server.admin).await?;
        eprintln!("woosh-harness: Postgres from {}", server.origin);
        anyhow::Ok((server, connection, admin))
    };
    // Keeps this connection open: as long as it is, the sweeps of other processes do not drop the databases of this
    // process.
    let (server, _connection, admin) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(server.admin.clone()));
    while let Some(command) = commands.recv().await {
        let admin = admin.clone();
        tokio::spawn(async move {
            match command {
                Command::Create { name, done } => {
                    let _ = done.send(template::clone(&admin, &name).await);
                }
                Command::Drop { name, done } => {
                    if let Err(error) = drop(&admin, &name).await {
                        eprintln!("woosh-harness: can't drop the database {name}: {error:#}");
                    }
                    let _ = done.send(());
                }
            }
        });
    }
}

async fn drop(admin: &PgConnectOptions, name: &str) -> anyhow::Result<()> {
    let mut connection = admin.connect().await?;
    Ok(template::drop(&mut connection, name).await?)
}
