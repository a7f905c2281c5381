//! The store on Postgres, for one or more replicas.
//!
//! - `open`: connects, checks and migrates the database.
//! - `store`: `PostgresStore`, an implementation of `SqlStore`.
//! - `deliver`: adds envelopes to mailboxes. `delete`: deletes envelopes. `read`: reads pages of mailboxes.
//! - `session_reader`: looks up the owners of tokens, many in one query.
//! - `writer`: queues sends in lanes, and stores them in batches.

mod delete;
mod deliver;
mod open;
mod read;
mod session_reader;
mod store;
mod writer;

pub(crate) use self::open::migrations;
pub(crate) use self::store::PostgresStore;
