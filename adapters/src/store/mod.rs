//! Code that both backends share: the `SqlStore` trait (through which `ports` reaches a backend), errors, row types,
//! and the session cache.

mod after_commit;
mod cell;
mod envelope_row;
mod error;
mod mailbox_row;
mod open_error;
mod owner_row;
mod pending_send;
mod receipts;
mod retry;
mod schema;
mod session_cache;
mod sql_store;

pub(crate) use self::after_commit::after_commit;
pub(crate) use self::cell::Cell;
pub(crate) use self::envelope_row::{EnvelopeRow, PageBuilder};
pub(crate) use self::error::{SqlError, catch_panic, closed, ended};
pub(crate) use self::mailbox_row::{MailboxRow, recipient_keys, sessions};
pub(crate) use self::owner_row::OwnerRow;
pub(crate) use self::pending_send::PendingSend;
pub(crate) use self::receipts::{KeyRow, format_undelivered};
pub(crate) use self::retry::{OpenFailure, retry};
pub(crate) use self::schema::{SCHEMA_VERSION, refuse_newer};
pub(crate) use self::session_cache::SessionCache;
pub(crate) use self::sql_store::{Acknowledged, CONCURRENT_PAGES, COUNT_CHECK, Connection, SqlStore, count};

pub use self::open_error::OpenError;
