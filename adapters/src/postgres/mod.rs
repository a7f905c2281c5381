//! Postgres as the store of one or more servers.
//!
//! - `open`: connects, checks and migrates the database.
//! - `store`: the store, which the ports are written against.
//! - `deliver`, `delete`: the ways into and out of a mailbox.
//! - `writer`: the lanes in which sends wait, and their batches.

mod delete;
mod deliver;
mod open;
mod store;
mod writer;

pub(crate) use self::open::migrations;
pub(crate) use self::store::PostgresStore;
