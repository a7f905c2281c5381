use std::collections::VecDeque;

use sqlx::PgConnection;
use woosh_domain::model::SessionId;
use woosh_domain::planner::{BatchState, ScopedKey};
use woosh_domain::ports::NewDelivery;

use crate::store::{KeyRow, MailboxRow, SqlError, recipient_keys, sessions};

/// Minimum number of message identifiers to reserve at once.
const RESERVED_IDS: i64 = 1000;

/// Refills `ids` if it holds too few message identifiers for `sends`. The identifiers come from a sequence of Postgres.
/// A rollback does not return identifiers to the sequence, so no identifier is reserved twice.
pub(super) async fn reserve_ids(
    connection: &mut PgConnection,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<(), SqlError> {
    let needed = sends.iter().map(|send| send.recipients.len()).sum();
    if ids.len() >= needed {
        return Ok(());
    }
    let count = i64::try_from(needed).unwrap_or(i64::MAX).max(RESERVED_IDS);
    let reserved: Vec<i64> =
        // `OFFSET 0` keeps Postgres from looking up the name of the sequence again for each row.
        sqlx::query_scalar(
            "SELECT nextval(name) FROM generate_series(1, $1),
                 (SELECT pg_get_serial_sequence('messages', 'id')::regclass AS name OFFSET 0) sequence",
        )
            .bind(count)
            .fetch_all(connection)
            .await?;
    ids.extend(reserved);
    Ok(())
}

macro_rules! select_mailboxes {
    ($lock:literal) => {
        concat!(
            "SELECT u.id AS user_id, u.username, mb.device_id, mb.acknowledged, mb.last_sequence, mb.not_before,
                    mb.pending, mb.bytes, mb.refused_from
             FROM unnest($1::text[]) AS recipient (key)
             JOIN users u ON u.username_key = recipient.key
             JOIN devices d ON d.user_id = u.id
             JOIN mailboxes mb ON mb.device_id = d.id
             ORDER BY mb.device_id",
            $lock
        )
    };
}

/// Loads the mailboxes of users into `state`, without locks.
pub(super) async fn mailboxes(
    connection: &mut PgConnection,
    user_keys: &[String],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    load_mailboxes(connection, select_mailboxes!(""), user_keys, state).await
}

/// Locks the idempotency keys of `sends` and the mailboxes of the recipients until the end of the transaction. Loads
/// what a plan of the batch needs: the locked mailboxes, the receipts that are already stored under the locked keys,
/// and the open sessions of the senders.
///
/// Every transaction locks idempotency keys before mailboxes, and both in a fixed order, so that no two transactions
/// deadlock.
pub(super) async fn lock_all(connection: &mut PgConnection, sends: &[&NewDelivery]) -> Result<BatchState, SqlError> {
    let mut state = BatchState::default();
    let keys = scoped_keys(sends);
    lock_keys(connection, &keys).await?;
    load_receipts(connection, &keys, &mut state).await?;
    load_mailboxes(connection, select_mailboxes!(" FOR UPDATE OF mb"), &recipient_keys(sends), &mut state).await?;
    let sessions: Vec<_> = sessions(sends).into_iter().map(SessionId::get).collect();
    let open: Vec<i64> =
        sqlx::query_scalar("SELECT id FROM sessions WHERE id = ANY($1)").bind(sessions).fetch_all(connection).await?;
    state.sessions = open.into_iter().map(SessionId::new).collect();
    Ok(state)
}

async fn load_mailboxes(
    connection: &mut PgConnection,
    select: &'static str,
    user_keys: &[String],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    let rows: Vec<MailboxRow> = sqlx::query_as(select).bind(user_keys).fetch_all(connection).await?;
    rows.into_iter().try_for_each(|row| row.add_to(state))
}

fn scoped_keys(sends: &[&NewDelivery]) -> Vec<ScopedKey> {
    let keys = sends.iter().filter_map(|send| Some(ScopedKey::new(send.sender_device, &send.idempotency.as_ref()?.0)));
    keys.collect()
}

async fn lock_keys(connection: &mut PgConnection, keys: &[ScopedKey]) -> Result<(), SqlError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (devices, keys): (Vec<_>, Vec<_>) = keys.iter().map(|key| (key.device.get(), key.key.as_str())).unzip();
    sqlx::query(
        "SELECT pg_advisory_xact_lock(lock) FROM (
             SELECT DISTINCT hashtextextended(key, device_id) AS lock
             FROM unnest($1::bigint[], $2::text[]) AS sent (device_id, key) ORDER BY lock
         ) locks",
    )
    .bind(devices)
    .bind(keys)
    .execute(connection)
    .await?;
    Ok(())
}

/// Loads the receipts that are stored under the idempotency keys `keys`. Call this after the keys were locked: while
/// the locking statement waited, other transactions may have committed receipts. Only a later statement sees them.
async fn load_receipts(
    connection: &mut PgConnection,
    keys: &[ScopedKey],
    state: &mut BatchState,
) -> Result<(), SqlError> {
    if keys.is_empty() {
        return Ok(());
    }
    let (devices, keys): (Vec<_>, Vec<_>) = keys.iter().map(|key| (key.device.get(), key.key.as_str())).unzip();
    let rows: Vec<KeyRow> = sqlx::query_as(
        "SELECT k.device_id, k.key, k.fingerprint, k.send_id, k.sent_at, k.undelivered
         FROM unnest($1::bigint[], $2::text[]) AS sent (device_id, key)
         JOIN idempotency_keys k ON k.device_id = sent.device_id AND k.key = sent.key",
    )
    .bind(devices)
    .bind(keys)
    .fetch_all(connection)
    .await?;
    state.receipts = rows.into_iter().map(KeyRow::parse).collect::<Result<_, _>>()?;
    Ok(())
}
