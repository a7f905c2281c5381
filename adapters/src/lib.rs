//! The ports of Woosh on real things.
//!
//! - [`database`]: finds out from a URL which database it is, and opens it.
//! - `sql`: the statements of the ports, once for both databases, and side by side where these differ.
//! - `sqlite`: opening a file, its one writer and its readers.
//! - `postgres`: opening a database that other replicas use as well.
//! - [`password`]: Argon2id, and a memory of what was verified lately.
//! - [`clock`] and [`randomness`]: the system's.

pub mod clock;
pub mod database;
pub mod password;
mod postgres;
pub mod randomness;
mod sql;
mod sqlite;
