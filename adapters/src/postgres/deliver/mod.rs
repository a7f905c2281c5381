//! Sends.
//!
//! Other replicas write as well, so a plan is valid only if the mailboxes are as they were loaded when it is written. There are
//! two ways to ensure this. [`deliver`] loads without locks, and writes in one statement that fails if anything differs: two
//! round trips to the database. [`deliver_locked`] locks what it loads until the commit: more round trips, but no
//! conflicts.

mod load;
mod write;

use std::collections::VecDeque;

use sqlx::{PgConnection, PgPool};
use woosh_domain::planner::{Changes, PlannedSend, plan};
use woosh_domain::ports::NewDelivery;

use self::load::Loaded;
use crate::store::SqlError;

/// Why a batch was not stored.
pub(super) enum DeliverError {
    /// Another transaction has changed a mailbox or used an idempotency key since they were loaded. Nothing is stored.
    Conflict(SqlError),
    /// Any other error.
    Failed(SqlError),
}

impl DeliverError {
    pub(super) fn into_inner(self) -> SqlError {
        match self {
            Self::Conflict(error) | Self::Failed(error) => error,
        }
    }
}

impl<Error: Into<SqlError>> From<Error> for DeliverError {
    fn from(error: Error) -> Self {
        let error = error.into();
        if write::is_conflict(&error) { Self::Conflict(error) } else { Self::Failed(error) }
    }
}

/// Stores sends in one statement. `ids` are reserved identifiers of messages; it is refilled as needed.
pub(super) async fn deliver(
    pool: &PgPool,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<Vec<PlannedSend>, DeliverError> {
    let mut connection = pool.acquire().await?;
    load::reserve_ids(&mut connection, ids, sends).await?;
    let loaded = load::load(&mut connection, sends).await?;
    store(&mut connection, ids, sends, loaded).await
}

/// Stores sends in one transaction, with the idempotency keys and mailboxes locked.
pub(super) async fn deliver_locked(
    pool: &PgPool,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
) -> Result<Vec<PlannedSend>, DeliverError> {
    let mut transaction = pool.begin().await?;
    load::reserve_ids(&mut transaction, ids, sends).await?;
    let loaded = load::lock_and_load(&mut transaction, sends).await?;
    let planned = store(&mut transaction, ids, sends, loaded).await?;
    transaction.commit().await?;
    Ok(planned)
}

async fn store(
    connection: &mut PgConnection,
    ids: &mut VecDeque<i64>,
    sends: &[&NewDelivery],
    loaded: Loaded,
) -> Result<Vec<PlannedSend>, DeliverError> {
    let Loaded { state, mailboxes } = loaded;
    let mut plan = plan(sends.iter().copied(), state, std::iter::from_fn(|| ids.pop_front()));
    if plan.changes != Changes::default() {
        let acknowledged = write::write(connection, &plan.changes, &mailboxes).await?;
        for copy in plan.sends.iter_mut().flat_map(|send| &mut send.copies) {
            if let Some(acknowledged) = acknowledged.get(&copy.mailbox) {
                copy.acknowledged = *acknowledged;
            }
        }
    }
    Ok(plan.sends)
}
