use std::collections::{HashMap, VecDeque};

use sqlx::PgConnection;
use woosh_domain::model::DeviceId;
use woosh_domain::planner::{BatchState, MailboxState, ScopedKey};
use woosh_domain::ports::NewDelivery;

use crate::store::{KeyRow, MailboxRow, SqlError, recipient_keys};

/// How many identifiers of messages are reserved at once.
const RESERVED_IDS: i64 = 1000;

/// The state that a batch is planned on.
pub(super) struct Loaded {
    pub(super) state: BatchState,
    /// The mailboxes of `state`.
    pub(super) mailboxes: HashMap<DeviceId, MailboxState>,
}

/// Reserves identifiers of messages, so that `ids` has enough for these sends. A sequence is not rolled back, so the database
/// never returns the same identifier again.
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
        // OFFSET keeps the name from being looked up for each row.
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

/// Loads the receipts stored under the idempotency keys of these sends, and the mailboxes of their recipients.
pub(super) async fn load(connection: &mut PgConnection, sends: &[&NewDelivery]) -> Result<Loaded, SqlError> {
    load_all(connection, sends, select_mailboxes!("")).await
}

/// Locks and loads the same until the end of the transaction.
///
/// Sequence numbers then follow commit order (D3). Keys are locked before mailboxes in every transaction, and both in a fixed
/// order, so that no two transactions can deadlock.
pub(super) async fn lock_and_load(connection: &mut PgConnection, sends: &[&NewDelivery]) -> Result<Loaded, SqlError> {
    lock_keys(connection, &scoped_keys(sends)).await?;
    load_all(connection, sends, select_mailboxes!(" FOR UPDATE OF mb")).await
}

async fn load_all(
    connection: &mut PgConnection,
    sends: &[&NewDelivery],
    select_mailboxes: &'static str,
) -> Result<Loaded, SqlError> {
    let mut state = BatchState::default();
    load_receipts(connection, &scoped_keys(sends), &mut state).await?;
    let rows: Vec<MailboxRow> =
        sqlx::query_as(select_mailboxes).bind(recipient_keys(sends)).fetch_all(connection).await?;
    rows.into_iter().try_for_each(|row| row.add_to(&mut state))?;
    let mailboxes = state.recipients.values().flat_map(|recipient| &recipient.mailboxes);
    let mailboxes = mailboxes.map(|mailbox| (mailbox.device, *mailbox)).collect();
    Ok(Loaded { state, mailboxes })
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

/// Loads the stored receipts. If the keys are locked, this has to be a statement of its own, so that it sees what the
/// transactions that held the locks have committed.
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
