//! The ports (traits of the domain), implemented with SQL that is written once for both backends: `trait_gen` repeats
//! each `impl … for Store` for [`SqliteStore`](crate::sqlite::SqliteStore) and
//! [`PostgresStore`](crate::postgres::PostgresStore).

mod audit;
mod devices;
mod disk;
mod mailboxes;
mod sessions;
mod stream_tickets;
mod time_store;
mod users;

use woosh_domain::model::{DeviceId, UserId};

pub(crate) use self::audit::Audit;

use crate::store::SqlStore;

/// Returns the function to call after the commit of a transaction that may have ended sessions of a user. If the
/// transaction ended sessions, the function removes all sessions of the user from the cache, and notifies the readers
/// that wait on the devices of the ended sessions. `ended` returns these devices for the outcome of the transaction, or
/// `None` if no session ended.
fn end_sessions<T>(
    store: &impl SqlStore,
    user: UserId,
    ended: impl FnOnce(&T) -> Option<Vec<DeviceId>> + Send + 'static,
) -> impl FnOnce(&T) + Send + 'static {
    let (sessions, notifier) = (store.session_cache().clone(), store.notifier().clone());
    move |outcome| {
        if let Some(devices) = ended(outcome) {
            sessions.invalidate(user);
            notifier.notify(&devices);
        }
    }
}

/// Converts identifiers of devices that a query has returned.
fn device_ids(ids: Vec<i64>) -> Vec<DeviceId> {
    ids.into_iter().map(DeviceId::new).collect()
}
