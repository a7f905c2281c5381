use std::io;
use std::time::Duration;

use sqlx::Acquire as _;
use sqlx::postgres::{PgListener, PgNotification};
use tokio::time::{sleep, timeout};

use super::outage::Outage;
use crate::pool::{Pool, connect, within};

/// A connection that has received nothing for this long is tested.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum time for Postgres to answer a statement.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Delay between two attempts to connect.
const BACK_OFF: Duration = Duration::from_millis(500);

/// A connection to Postgres that listens on a channel (`LISTEN`). If the database host stops answering, the listener
/// notices this and reconnects.
pub(super) struct Listener {
    pool: Pool,
    channel: &'static str,
    listener: PgListener,
    /// Whether the connection is open, but Postgres does not answer.
    silent: bool,
}

/// What a listener received.
pub(super) enum Received {
    /// A notification.
    Notification(PgNotification),
    /// The connection was lost and replaced. Notifications may have been lost meanwhile.
    Reconnected,
}

impl Listener {
    /// Connects to Postgres, and listens on a notification channel (`LISTEN`).
    pub(super) async fn connect(pool: Pool, channel: &'static str) -> sqlx::Result<Self> {
        let listener = pool.without_deadlines(PgListener::connect_with).await?;
        let mut listener = Self { pool, channel, listener, silent: false };
        listener.start().await?;
        Ok(listener)
    }

    /// Waits for a notification. If the connection is lost, tries to reconnect until that succeeds, and logs the
    /// interruption through `outage`.
    pub(super) async fn receive(&mut self, outage: &mut Outage) -> Received {
        match self.try_receive().await {
            Ok(notification) => Received::Notification(notification),
            Err(mut error) => {
                loop {
                    outage.began(&error);
                    match self.reconnect().await {
                        Ok(()) => break,
                        Err(cause) => error = cause,
                    }
                    sleep(BACK_OFF).await;
                }
                outage.ended();
                Received::Reconnected
            }
        }
    }

    async fn try_receive(&mut self) -> sqlx::Result<PgNotification> {
        loop {
            match timeout(HEARTBEAT_INTERVAL, self.listener.try_recv()).await {
                Ok(Ok(Some(notification))) => return Ok(notification),
                Ok(Ok(None)) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(Err(error)) => return Err(error),
                // Tests the connection: a second LISTEN changes nothing, but Postgres has to answer it.
                Err(_) => self.subscribe().await?,
            }
        }
    }

    /// Replaces the connection.
    async fn reconnect(&mut self) -> sqlx::Result<()> {
        if self.silent {
            // Dropping a `PgListener` sends a statement, and waits for the answer without a limit. So the connection
            // that does not answer is first taken out of the listener, and another connection is put in its place.
            let replacement = connect(&self.pool.options()).await?;
            drop(std::mem::replace(self.listener.acquire().await?, replacement));
            self.silent = false;
            // The other connections of the pool probably get no answer, either.
            self.pool.renew();
        }
        self.listener = self.pool.without_deadlines(PgListener::connect_with).await?;
        self.start().await
    }

    async fn start(&mut self) -> sqlx::Result<()> {
        // The library must not reconnect by itself: `Self::reconnect` does it, with a limit of time.
        self.listener.eager_reconnect(false);
        self.subscribe().await
    }

    async fn subscribe(&mut self) -> sqlx::Result<()> {
        let listen = sqlx::AssertSqlSafe(format!("LISTEN {}", self.channel));
        let subscribed = within(TIMEOUT, sqlx::raw_sql(listen).execute(&mut self.listener)).await;
        self.silent = subscribed.is_err();
        subscribed.map(drop)
    }
}
