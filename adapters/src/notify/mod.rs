//! Notifies readers that wait on a mailbox (D8).
//!
//! A notification is only a hint: messages are in the database, and a notified reader reads them there.
//!
//! - `notifier`: what the stores call, and the port that readers subscribe to.
//! - `waiters`: the readers that wait in this process.
//! - `replicas`: LISTEN and NOTIFY between the replicas on one Postgres.

mod notifier;
mod replicas;
mod waiters;

pub(crate) use self::notifier::Notifier;
