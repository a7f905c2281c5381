use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot};

use super::ladder::Server;
use super::template;

/// The thread that has the server, makes databases on it and drops them.
pub(super) struct Keeper {
    orders: mpsc::UnboundedSender<Order>,
    admin: PgConnectOptions,
    owner: String,
    made: AtomicU64,
}

enum Order {
    Create { name: String, done: oneshot::Sender<anyhow::Result<()>> },
    Drop { name: String, done: std::sync::mpsc::Sender<()> },
}

impl Keeper {
    /// Gets a server, prepares it, and says on standard error where it comes from.
    pub(super) async fn start() -> anyhow::Result<Self> {
        let owner = format!("{:016x}", getrandom::u64()?);
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let session = template::session_name(&owner);
        std::thread::Builder::new()
            .name("woosh-postgres".to_owned())
            .spawn(move || run(&session, ready, received))
            .context("no thread to keep Postgres")?;
        let admin = started.await.context("the thread that keeps Postgres ended")??;
        Ok(Self { orders, admin, owner, made: AtomicU64::new(0) })
    }

    /// Makes a database, and gives its name and URL.
    pub(super) async fn create(&self) -> anyhow::Result<(String, String)> {
        let name = template::database_name(&self.owner, self.made.fetch_add(1, Ordering::Relaxed));
        let (done, created) = oneshot::channel();
        self.orders.send(Order::Create { name: name.clone(), done }).ok().context("Postgres is gone")?;
        created.await.context("Postgres is gone")??;
        let url = template::url(&self.admin, &name);
        Ok((name, url))
    }

    /// Drops a database, and waits until that is done.
    pub(super) fn drop(&self, name: String) {
        let (done, dropped) = std::sync::mpsc::channel();
        if self.orders.send(Order::Drop { name, done }).is_ok() {
            // Where the keeper is gone, so is the server, or whoever sweeps it next drops the database.
            let _ = dropped.recv();
        }
    }
}

/// Keeps a server on this thread, for as long as the process lives.
fn run(
    session: &str,
    ready: oneshot::Sender<anyhow::Result<PgConnectOptions>>,
    orders: mpsc::UnboundedReceiver<Order>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error).context("no runtime to keep Postgres"));
            return;
        }
    };
    runtime.block_on(keep(session, ready, orders));
}

async fn keep(
    session: &str,
    ready: oneshot::Sender<anyhow::Result<PgConnectOptions>>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let prepared = async {
        let server = Server::get().await?;
        let admin = server.admin.clone().application_name(session);
        let mut connection = admin.connect().await.with_context(|| format!("{} does not answer", server.origin))?;
        template::sweep(&mut connection).await?;
        template::ensure(&mut connection, &server.admin).await?;
        eprintln!("woosh-harness: Postgres from {}", server.origin);
        anyhow::Ok((server, connection, admin))
    };
    // The connection stays open: it shows others that the databases of this process are in use.
    let (server, _connection, admin) = match prepared.await {
        Ok(prepared) => prepared,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(server.admin.clone()));
    while let Some(order) = orders.recv().await {
        let admin = admin.clone();
        tokio::spawn(async move {
            match order {
                Order::Create { name, done } => {
                    let _ = done.send(template::clone(&admin, &name).await);
                }
                Order::Drop { name, done } => {
                    if let Err(error) = drop(&admin, &name).await {
                        eprintln!("woosh-harness: the database {name} was not dropped: {error:#}");
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
