//! Wake-ups across the replicas on one Postgres, by LISTEN and NOTIFY
//! (<https://www.postgresql.org/docs/current/sql-notify.html>).
//!
//! A transaction that notifies waits for all others that do, until its commit is on the disk. So none of those that
//! store messages does: what they have woken is gathered and told of by a connection of its own, many in one notification. If
//! that fails, or a notification is lost with a connection, a round of looking finds out a little later.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};
use woosh_domain::model::DeviceId;

use super::Wakeups;
use super::bells::Bells;

const CHANNEL: &str = "woosh_wakeups";
/// The most mailboxes of a notification: its payload has room for 8,000 bytes.
const MAX_MAILBOXES: usize = 350;
/// The most mailboxes that wait to be told of.
const MAX_WAITING: usize = 10_000;
/// How often to look for what was not told of.
const ROUND: Duration = Duration::from_secs(5);
/// How long to leave off where the database can't be had.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Tells other replicas and hears from them, for as long as it is kept.
pub(crate) struct Exchange {
    _tasks: JoinSet<()>,
}

impl Exchange {
    /// Starts to hear, and gives the wake-ups that tell the others as well.
    pub(crate) async fn start(options: PgConnectOptions, readers: PgPool) -> sqlx::Result<(Wakeups, Self)> {
        // Connections of their own: a busy pool must not delay the news.
        let pool =
            PgPoolOptions::new().max_connections(2).max_lifetime(None).idle_timeout(None).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        let bells = Bells::default();
        let (others, gathered) = mpsc::channel(MAX_WAITING);
        let own = format!("{:016x}", getrandom::u64().map_err(|error| sqlx::Error::Configuration(error.into()))?);

        let mut tasks = JoinSet::new();
        tasks.spawn(hear(listener, bells.clone(), own.clone()));
        tasks.spawn(tell(pool, gathered, own));
        tasks.spawn(look(readers, bells.clone()));
        Ok((Wakeups { bells, others: Some(others) }, Self { _tasks: tasks }))
    }
}

/// Rings for what other replicas tell.
async fn hear(mut listener: PgListener, bells: Bells, own: String) {
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                let Some((sender, mailboxes)) = notification.payload().split_once(' ') else { continue };
                if sender != own {
                    mailboxes.split(',').filter_map(|id| id.parse().ok()).for_each(|id| bells.ring(DeviceId::new(id)));
                }
            }
            // The connection was lost and is there again. Nobody knows what was missed.
            Ok(None) => bells.ring_all(),
            Err(error) => {
                tracing::warn!(%error, "no wake-ups from other replicas for now");
                sleep(BACK_OFF).await;
            }
        }
    }
}

/// Tells other replicas what this one has woken.
async fn tell(pool: PgPool, mut gathered: mpsc::Receiver<i64>, own: String) {
    let mut mailboxes = Vec::with_capacity(MAX_MAILBOXES);
    while gathered.recv_many(&mut mailboxes, MAX_MAILBOXES).await > 0 {
        mailboxes.sort_unstable();
        mailboxes.dedup();
        let list: Vec<_> = mailboxes.drain(..).map(|mailbox| mailbox.to_string()).collect();
        // One trip, and no waiting for the disk: who hears of it will find what is on the disk already. Only digits,
        // letters and commas go into the text.
        let notify =
            format!("BEGIN; SET LOCAL synchronous_commit TO off; NOTIFY {CHANNEL}, '{own} {}'; COMMIT", list.join(","));
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(notify)).execute(&pool).await {
            tracing::warn!(%error, "other replicas were not woken");
        }
    }
}

/// Looks now and then for what nobody was told of, in one query for all that wait.
async fn look(readers: PgPool, bells: Bells) {
    let mut round = interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        let (mailboxes, seen) = bells.waiting();
        if mailboxes.is_empty() {
            continue;
        }
        let missed: Result<Vec<i64>, _> = sqlx::query_scalar(
            "SELECT mb.device_id FROM unnest($1::bigint[], $2::bigint[]) AS w (device_id, seen)
             JOIN mailboxes mb ON mb.device_id = w.device_id AND mb.last_sequence > w.seen",
        )
        .bind(mailboxes)
        .bind(seen)
        .fetch_all(&readers)
        .await;
        match missed {
            Ok(missed) => missed.into_iter().for_each(|mailbox| bells.ring(DeviceId::new(mailbox))),
            Err(error) => tracing::warn!(%error, "nobody looked for messages that were not told of"),
        }
    }
}
