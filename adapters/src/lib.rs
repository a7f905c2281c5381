//! The ports of Woosh on real things.
//!
//! - [`database`]: finds out from a URL which database it is, and opens it.
//! - `sql`: the statements of the ports.
//! - `sqlite`: opening a file, its one writer and its readers.
//! - [`password`]: Argon2id, and a memory of what was verified lately.
//! - [`clock`]: the system's.

pub mod clock;
pub mod database;
pub mod password;
mod sql;
mod sqlite;
