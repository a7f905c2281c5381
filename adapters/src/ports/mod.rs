//! The ports, with SQL written once for both stores: `trait_gen` stamps each `impl … for Store` onto [`SqliteStore`](crate::sqlite::SqliteStore) and
//! [`PostgresStore`](crate::postgres::PostgresStore).

mod audit;
mod devices;
mod mailboxes;
mod sessions;
mod users;

use woosh_domain::model::{DeviceId, UserId};

pub(crate) use self::audit::Audit;

use crate::store::SqlStore;

/// What follows a commit that ended sessions of a user: removes them from the cache, and notifies readers on their devices.
/// `ended` returns those devices, or `None` if no session ended.
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

/// Identifiers as a query returns them.
fn device_ids(ids: Vec<i64>) -> Vec<DeviceId> {
    ids.into_iter().map(DeviceId::new).collect()
}
