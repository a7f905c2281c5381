//! SQLite as the store of one server: a file in WAL mode, with one writer and a few readers.
//!
//! - `open`: opens, checks and migrates the file.
//! - `store`: the store, which the ports are written against.
//! - `deliver`, `delete`: the ways into and out of a mailbox.
//! - `writer`: the only connection that writes, and its batches.

mod delete;
mod deliver;
mod open;
mod store;
mod writer;

pub(crate) use self::store::SqliteStore;
