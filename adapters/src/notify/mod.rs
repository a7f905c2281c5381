//! Notifies readers that wait on a mailbox (D8).
//!
//! A notification is only a hint: the notified reader reads the messages from the database.
//!
//! - `notifier`: the entry point of this module, which implements the `Notifier` port.
//! - `waiters`: the readers that wait in this process.
//! - `replicas`: LISTEN and NOTIFY between the replicas on one Postgres.

mod notifier;
mod replicas;
mod waiters;

pub(crate) use self::notifier::Notifier;
