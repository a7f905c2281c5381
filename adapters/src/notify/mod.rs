//! Notifies readers that wait on a mailbox (D8).
//!
//! A notification is only a hint: the notified reader reads its mailbox from the database. As a shortcut, a
//! notification from the same process includes the new envelopes if the reader has seen all earlier ones. Then the
//! reader need not read the database.
//!
//! - `notifier`: the entry point of this module, which implements the `Notifier` trait of the domain.
//! - `waiters`: the readers that wait in this process.
//! - `recent`: the envelopes that notifications include.
//! - `replicas`: LISTEN and NOTIFY between the replicas on one Postgres. `listener`: the connection that listens.
//!   `outage`: logs when an action begins to fail, and when it works again.

mod listener;
mod notifier;
mod outage;
mod recent;
mod replicas;
mod waiters;

pub(crate) use self::notifier::Notifier;
