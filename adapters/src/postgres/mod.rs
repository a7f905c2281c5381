//! The store on Postgres, for one or more replicas.
//!
//! - `open`: connects, and verifies the database. `migrate`: migrates its schema.
//! - `store`: `PostgresStore`, an implementation of `SqlStore`.
//! - `deliver`: adds envelopes to mailboxes. `delete`: deletes envelopes. `read`: reads pages of mailboxes.
//! - `lanes`: queues whose items are processed in batches.
//! - `session_reader`: looks up the owners of tokens, many in one query.
//! - `writer`: queues sends in lanes, and stores them in batches.

mod delete;
mod deliver;
mod lanes;
mod migrate;
mod open;
mod read;
mod session_reader;
mod store;
mod writer;

pub(crate) use self::migrate::migrations;
pub(crate) use self::store::PostgresStore;
