//! The Woosh server: the HTTP API on top of the use cases, and the composition root that wires ports to adapters.
//!
//! - [`server`]: binds, serves and shuts down. `main` and the harness both start [`server::Server`].
//! - `services`: the composition root: the use cases, wired to their adapters.
//! - [`api`]: the operations, one folder per group and one file per operation.
//! - [`cli`]: the command line.
//!
//! # Adding an operation
//!
//! 1. Write its file beside the others of its group: the request and response types, named after its `operationId`
//!    (`SendMessageRequest`, `SendMessageResponse`), an enum of its statuses (`SendMessageReply`), and a function of three
//!    steps (parse, call, map).
//! 2. Add the annotated method to the group's `mod.rs`. Its comments become the OpenAPI document.
//! 3. Regenerate the document: `cargo run -- openapi > openapi.yaml`.

pub mod api;
pub mod cli;
mod logging;
pub mod server;
mod services;

pub use woosh_adapters::database;
