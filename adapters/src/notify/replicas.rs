//! Exchanges notifications between the replicas on one Postgres, using LISTEN and NOTIFY
//! (<https://www.postgresql.org/docs/current/sql-notify.html>).
//!
//! Postgres serializes the commits of transactions that call NOTIFY, and each of these commits includes a sync to disk.
//! Therefore the transactions that store messages don't call NOTIFY. Instead, the identifiers of changed mailboxes are
//! queued, and a separate connection publishes many identifiers in one notification. If a notification is lost, because
//! publishing fails or a connection breaks, the next poll finds the messages.

use std::sync::Arc;
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use woosh_domain::model::{DeviceId, Token};
use woosh_domain::ports::Randomness as _;

use super::listener::{Listener, Received};
use super::outage::Outage;
use super::waiters::Waiters;
use crate::pool::Pool;
use crate::randomness::SystemRandomness;

const CHANNEL: &str = "woosh_notifications";
/// Maximum number of mailboxes in one notification. Postgres limits the payload to 8,000 bytes.
const MAX_MAILBOXES: usize = 350;
/// Maximum number of mailboxes whose identifiers are queued for publishing to other replicas.
const MAX_QUEUED: usize = 10_000;
/// Interval between polls for messages whose notification was lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Minimum time between two notifications. Each notification costs a transaction and wakes every replica, so under load
/// each notification should cover many messages.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(3);
/// Maximum number of attempts to publish a notification. The second attempt is for connections that turn out to be
/// dead.
const PUBLISH_ATTEMPTS: usize = 2;

/// Publishes notifications to other replicas and receives their notifications, until this value is dropped.
pub(super) struct Replicas {
    queue: mpsc::Sender<DeviceId>,
    _tasks: JoinSet<()>,
}

impl Replicas {
    /// Connects to Postgres, and starts to forward notifications between `waiters` and other replicas. Listens and
    /// publishes on `pool`, and polls on `read_pool`.
    pub(super) async fn start(pool: Pool, read_pool: Pool, waiters: Waiters) -> sqlx::Result<Self> {
        let listener = Listener::connect(pool.clone(), CHANNEL).await?;
        let (queue, queued) = mpsc::channel(MAX_QUEUED);
        let bits = SystemRandomness.bits().map_err(|error| sqlx::Error::Configuration(error.into()))?;
        let replica = Token::from_random(bits).reveal()[..16].to_owned();
        let reconnected = Arc::new(Notify::new());

        let mut tasks = JoinSet::new();
        tasks.spawn(listen(listener, waiters.clone(), replica.clone(), reconnected.clone()));
        tasks.spawn(publish(pool, queued, replica));
        tasks.spawn(poll(read_pool, waiters, reconnected));
        Ok(Self { queue, _tasks: tasks })
    }

    /// Queues the identifier of a changed mailbox for publishing to other replicas. If the queue is full, does nothing,
    /// and other replicas find the message at their next poll.
    pub(super) fn publish(&self, mailbox: DeviceId) {
        let _ = self.queue.try_send(mailbox);
    }
}

/// Forwards notifications from other replicas to the readers that wait in this process.
async fn listen(mut listener: Listener, waiters: Waiters, replica: String, reconnected: Arc<Notify>) {
    let mut outage = Outage::of("receive notifications from other replicas");
    loop {
        match listener.receive(&mut outage).await {
            Received::Notification(notification) => {
                let Some((sender, mailboxes)) = notification.payload().split_once(' ') else { continue };
                if sender != replica {
                    let mailboxes = mailboxes.split(',').filter_map(|id| id.parse().ok());
                    mailboxes.for_each(|id| waiters.notify(DeviceId::new(id)));
                }
            }
            Received::Reconnected => reconnected.notify_one(),
        }
    }
}

/// Publishes the identifiers of queued mailboxes to other replicas.
async fn publish(pool: Pool, mut queued: mpsc::Receiver<DeviceId>, replica: String) {
    let mut outage = Outage::of("notify other replicas");
    let mut mailboxes = Vec::with_capacity(MAX_MAILBOXES);
    while queued.recv_many(&mut mailboxes, MAX_MAILBOXES).await > 0 {
        mailboxes.sort_unstable();
        mailboxes.dedup();
        // All statements take one round trip. The commit needs no sync to disk, because a notification is only a hint.
        // The payload needs no escaping, because it contains only digits, letters, commas and a space.
        let payload = payload(&replica, mailboxes.drain(..));
        let notify = format!("BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY {CHANNEL}, '{payload}'; COMMIT");
        for _ in 0..PUBLISH_ATTEMPTS {
            let notified = sqlx::raw_sql(AssertSqlSafe(notify.clone())).execute(&pool).await;
            outage.report(&notified);
            if notified.is_ok() {
                break;
            }
        }
        sleep(PUBLISH_INTERVAL).await;
    }
}

/// Returns the payload of a notification that lists the changed mailboxes.
fn payload(replica: &str, mailboxes: impl Iterator<Item = DeviceId>) -> String {
    let list: Vec<_> = mailboxes.map(|mailbox| mailbox.get().to_string()).collect();
    format!("{replica} {}", list.join(","))
}

/// Polls for changes whose notification was lost: periodically, and after the listener has reconnected.
async fn poll(read_pool: Pool, waiters: Waiters, reconnected: Arc<Notify>) {
    let mut outage = Outage::of("poll for messages whose notification was lost");
    let mut interval = interval(POLL_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = reconnected.notified() => {}
        }
        let missed = missed(&read_pool, &waiters).await;
        outage.report(&missed);
        missed.unwrap_or_default().into_iter().for_each(|mailbox| waiters.notify(DeviceId::new(mailbox)));
    }
}

/// Returns the mailboxes whose waiting readers have to be notified: those with new messages, and those whose device has
/// no session any more. One query covers all waiting readers.
async fn missed(read_pool: &Pool, waiters: &Waiters) -> sqlx::Result<Vec<i64>> {
    let (mailboxes, seen): (Vec<_>, Vec<_>) =
        waiters.waiting().into_iter().map(|(mailbox, seen)| (mailbox.get(), seen.get())).unzip();
    if mailboxes.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar(
        "SELECT w.device_id FROM unnest($1::bigint[], $2::bigint[]) AS w (device_id, seen)
         LEFT JOIN mailboxes mb ON mb.device_id = w.device_id
         WHERE mb.last_sequence > w.seen OR NOT EXISTS (SELECT FROM sessions s WHERE s.device_id = w.device_id)",
    )
    .bind(mailboxes)
    .bind(seen)
    .fetch_all(read_pool)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Postgres refuses a payload of 8,000 bytes or more.
    #[test]
    fn the_largest_batch_fits_into_a_notification() {
        let mailboxes = std::iter::repeat_n(DeviceId::new(i64::MAX), MAX_MAILBOXES);
        let length = payload(&"0".repeat(16), mailboxes).len();
        assert!(length < 8000, "{length} bytes");
    }
}
