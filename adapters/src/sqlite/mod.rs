//! The store on a SQLite file in WAL mode, for one server: one connection that writes and a few that read.
//!
//! - `open`: opens, checks and migrates the file.
//! - `store`: `SqliteStore`, an implementation of `SqlStore`.
//! - `deliver`, `delete`: add envelopes to mailboxes and delete them.
//! - `writer`: the only connection that writes; commits jobs in batches.

mod delete;
mod deliver;
mod open;
mod store;
mod writer;

pub(crate) use self::store::SqliteStore;
