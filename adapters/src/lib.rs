//! Implements Woosh's ports, which are traits of the domain, on SQLite, Postgres and the operating system.
//!
//! - [`database`]: the facade, which opens the database at a URL and provides the ports on it.
//! - [`database_url`]: parses and displays database URLs.
//! - `ports`: the SQL of users, devices, sessions and mailboxes, written once for both backends.
//! - `sqlite`, `postgres`: one folder per backend, with the same file names. Each folder opens the database, and has
//!   the SQL that differs between the backends.
//! - `store`: code that both backends share: the `SqlStore` trait (through which `ports` reaches a backend), errors,
//!   row types, and the session cache.
//! - `notify`: notifies waiting readers in this process and, through Postgres, on other replicas.
//! - `pool`: connections to Postgres with verified settings and deadlines.
//! - `transient`: distinguishes errors that a retry may fix from errors that a retry can't fix.
//! - [`password`]: Argon2id hashing, and a cache of recent verifications.
//! - [`clock`], [`randomness`]: the operating system's clock and random number generator.
//!
//! The layers, from top to bottom: `database`, `ports`, `sqlite` and `postgres`, `store`, `notify`, `pool`,
//! `transient`. Each uses only the layers below it.

pub mod clock;
pub mod database;
pub mod database_url;
mod notify;
pub mod password;
mod pool;
mod ports;
mod postgres;
pub mod randomness;
mod sqlite;
mod store;
mod transient;
