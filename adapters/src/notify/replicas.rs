//! Exchanges notifications between the replicas on one Postgres, using LISTEN and NOTIFY
//! (<https://www.postgresql.org/docs/current/sql-notify.html>).
//!
//! Postgres serializes the commits of transactions that call NOTIFY, and each of these commits includes a sync to disk.
//! Therefore the transactions that store messages don't call NOTIFY. Instead, the identifiers of changed mailboxes are
//! queued, and a separate connection publishes many identifiers in one notification. If a notification is lost, because
//! publishing fails or a connection breaks, the next poll finds the messages.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use woosh_domain::model::{DeviceId, Token};
use woosh_domain::ports::Randomness as _;

use super::waiters::Waiters;
use crate::randomness::SystemRandomness;

const CHANNEL: &str = "woosh_notifications";
/// Maximum number of mailboxes in one notification. Postgres limits the payload to 8,000 bytes.
const MAX_MAILBOXES: usize = 350;
/// Maximum number of mailboxes that are queued for publishing.
const MAX_QUEUED: usize = 10_000;
/// Interval between polls for messages whose notification was lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum time between two notifications. Each notification costs a transaction and wakes every replica, so under load
/// it should cover many messages.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(3);
/// Delay before receiving again after an error.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Publishes notifications to other replicas and receives their notifications, until this value is dropped.
pub(super) struct Replicas {
    queue: mpsc::Sender<DeviceId>,
    _tasks: JoinSet<()>,
}

impl Replicas {
    /// Connects to Postgres, and starts to forward notifications between `waiters` and other replicas.
    pub(super) async fn start(options: PgConnectOptions, read_pool: PgPool, waiters: Waiters) -> sqlx::Result<Self> {
        // Separate connections, so that a busy pool does not delay notifications.
        let pool =
            PgPoolOptions::new().max_connections(2).max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        let bits = SystemRandomness.bits().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let replica = Token::from_random(bits).reveal()[..16].to_owned();

        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, waiters.clone(), replica.clone()));
        tasks.spawn(publish(pool, queued, replica));
        tasks.spawn(poll(read_pool, waiters));
        Ok(Self { queue, _tasks: tasks })
    }

    /// Queues a mailbox for publishing. If the queue is full, does nothing, and other replicas find the message at
    /// their next poll.
    pub(super) fn publish(&self, mailbox: DeviceId) {
        let _ = self.queue.try_send(mailbox);
    }
}

/// Forwards notifications from other replicas to the waiters.
async fn listen(mut listener: PgListener, waiters: Waiters, replica: String) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                let Some((sender, mailboxes)) = notification.payload().split_once(' ') else { continue };
                if sender != replica {
                    let mailboxes = mailboxes.split(',').filter_map(|id| id.parse().ok());
                    mailboxes.for_each(|id| waiters.notify(DeviceId::new(id)));
                }
            }
            // The listener has reconnected. Notifications may have been lost while it was disconnected.
            Ok(None) => waiters.notify_all(),
            Err(error) => {
                tracing::warn!(%error, "can't receive notifications from other replicas");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Publishes queued mailboxes to other replicas.
async fn publish(pool: PgPool, mut queued: mpsc::Receiver<DeviceId>, replica: String) {
    let mut mailboxes = Vec::with_capacity(MAX_MAILBOXES);
    while queued.recv_many(&mut mailboxes, MAX_MAILBOXES).await > 0 {
        mailboxes.sort_unstable();
        mailboxes.dedup();
        let list: Vec<_> = mailboxes.drain(..).map(|mailbox| mailbox.get().to_string()).collect();
        // All statements take one round trip. The commit needs no sync to disk, because a notification is only a hint.
        // The payload needs no escaping, because it contains only digits, letters, commas and a space.
        let notify = format!(
            "BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY {CHANNEL}, '{replica} {}'; COMMIT",
            list.join(",")
        );
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(notify)).execute(&pool).await {
            tracing::warn!(%error, "can't notify other replicas");
        }
        sleep(PUBLISH_INTERVAL).await;
    }
}

/// Polls for messages whose notification was lost. One query covers all waiting readers.
async fn poll(read_pool: PgPool, waiters: Waiters) {
    let mut interval = interval(POLL_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let (mailboxes, seen): (Vec<_>, Vec<_>) =
            waiters.waiting().into_iter().map(|(mailbox, seen)| (mailbox.get(), seen.get())).unzip();
        if mailboxes.is_empty() {
            continue;
        }
        let missed: Result<Vec<i64>, _> = sqlx::query_scalar(
            "SELECT mb.device_id FROM unnest($1::bigint[], $2::bigint[]) AS w (device_id, seen)
             JOIN mailboxes mb ON mb.device_id = w.device_id AND mb.last_sequence > w.seen",
        )
        .bind(mailboxes)
        .bind(seen)
        .fetch_all(&read_pool)
        .await;
        match missed {
            Ok(missed) => missed.into_iter().for_each(|mailbox| waiters.notify(DeviceId::new(mailbox))),
            Err(error) => tracing::warn!(%error, "can't poll for messages whose notification was lost"),
        }
    }
}
