//! The ports of Woosh on SQLite and Postgres, and on the system.
//!
//! - [`database`]: the facade. Opens the store that a URL names.
//! - [`database_url`]: parses and displays that URL.
//! - `ports`: the SQL of users, devices, sessions and mailboxes, written once for both stores.
//! - `sqlite`, `postgres`: one folder per store, with the same file names: opening it, and the steps whose SQL differs.
//! - `store`: what both stores have in common: the interface that `ports` needs, errors, stored forms, the session cache.
//! - `notify`: notifies waiting readers, in this process and through Postgres on other replicas.
//! - [`password`]: Argon2id, and a cache of recent verifications.
//! - [`clock`], [`randomness`]: the system's.
//!
//! The layers, from top to bottom: `database`, `ports`, `sqlite` and `postgres`, `store`, `notify`. Each uses only those
//! below it.

pub mod clock;
pub mod database;
pub mod database_url;
mod notify;
pub mod password;
mod ports;
mod postgres;
pub mod randomness;
mod sqlite;
mod store;
