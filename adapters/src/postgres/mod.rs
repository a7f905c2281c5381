//! The store on Postgres, for one or more replicas.
//!
//! - `open`: connects, checks and migrates the database.
//! - `store`: `PostgresStore`, an implementation of `SqlStore`.
//! - `deliver`, `delete`: add envelopes to mailboxes and delete them.

mod delete;
mod deliver;
mod open;
mod store;

pub(crate) use self::open::migrations;
pub(crate) use self::store::PostgresStore;
