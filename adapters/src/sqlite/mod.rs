//! The store on a SQLite file in WAL mode, for one server. Two connections write, one at a time; all other connections
//! only read.
//!
//! - `open`: opens, checks and migrates the file.
//! - `store`: `SqliteStore`, an implementation of `SqlStore`.
//! - `deliver`: adds envelopes to mailboxes. `delete`: deletes envelopes.
//! - `read`: reads pages of mailboxes. `reader`: the connections that read pages.
//! - `file_guard`: locks the file for this server, and detects that it was removed or replaced. `free_space`: how much
//!   the file can still hold.
//! - `mailbox_writer`: the thread that writes to mailboxes, and commits the writes in batches. `mailbox_job`: these
//!   writes.
//! - `writer`: runs all other writes, such as those of users and sessions, and commits them in batches.

mod delete;
mod deliver;
mod file_guard;
mod free_space;
mod mailbox_job;
mod mailbox_writer;
mod open;
mod read;
mod reader;
mod store;
mod writer;

pub(crate) use self::store::SqliteStore;
