//! Notifies readers that wait on a mailbox (D8).
//!
//! A notification is only a hint: the notified reader reads the messages from the database. If the message was stored by the
//! same process, and the reader has seen everything before it, the notification hands the message over instead.
//!
//! - `notifier`: the entry point of this module, which implements the `Notifier` port.
//! - `waiters`: the readers that wait in this process.
//! - `recent`: the envelopes that are handed over.
//! - `replicas`: LISTEN and NOTIFY between the replicas on one Postgres. `listener`: the connection that listens. `outage`: logs
//!   what begins to fail and what works again.

mod listener;
mod notifier;
mod outage;
mod recent;
mod replicas;
mod waiters;

pub(crate) use self::notifier::Notifier;
