//! The store on a SQLite file in WAL mode, for one server: two connections that write in turn and a few that read.
//!
//! - `open`: opens, checks and migrates the file.
//! - `store`: `SqliteStore`, an implementation of `SqlStore`.
//! - `deliver`, `delete`: add envelopes to mailboxes and delete them.
//! - `read`: reads pages of mailboxes. `reader`: the connections for that.
//! - `mailbox_writer`: a thread that writes to mailboxes; commits jobs in batches. `mailbox_job`: its jobs.
//! - `writer`: writes everything else; commits jobs in batches too.

mod delete;
mod deliver;
mod mailbox_job;
mod mailbox_writer;
mod open;
mod read;
mod reader;
mod store;
mod writer;

pub(crate) use self::store::SqliteStore;
