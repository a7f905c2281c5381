//! The Woosh server: the HTTP API over the use cases, and the one place where ports meet adapters.
//!
//! - [`server`]: binds, serves and shuts down. `main` and the harness both start [`server::Server`].
//! - `services`: the use cases, wired to their adapters.
//! - [`api`]: the operations, a folder per group and a file per operation.
//! - [`cli`]: the command line.
//!
//! # To add an operation
//!
//! 1. Write its file beside its siblings: request and response types, and a function of three steps (parse, call, map).
//! 2. Add the annotated method to the group's `mod.rs`; that is its place in the OpenAPI document.
//! 3. Write the document anew: `cargo run -- openapi > openapi.yaml`.

pub mod api;
pub mod cli;
mod logging;
pub mod server;
mod services;

pub use woosh_adapters::database;
