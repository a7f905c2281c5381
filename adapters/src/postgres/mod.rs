//! The store on Postgres, for one or more replicas.
//!
//! - `open`: connects, and verifies the database. `migrate`: migrates its schema.
//! - `store`: `PostgresStore`, an implementation of `SqlStore`.
//! - `deliver`, `delete`: add envelopes to mailboxes and delete them. `read`: reads pages.
//! - `session_reader`: looks up tokens, many in one query.
//! - `writer`: the lanes in which sends wait, and their batches.

mod delete;
mod deliver;
mod migrate;
mod open;
mod read;
mod session_reader;
mod store;
mod writer;

pub(crate) use self::migrate::migrations;
pub(crate) use self::store::PostgresStore;
