//! The Woosh server: the HTTP API, which calls the use cases, and the composition root, which connects ports to
//! adapters.
//!
//! - [`server`]: binds, serves and shuts down. `main` and the harness both start [`server::Server`].
//! - `services`: the composition root: creates the use cases with their adapters.
//! - [`api`]: the operations of the HTTP API, one folder per group and one file per operation.
//! - `budget`: limits the memory for bodies of requests and responses, in total and for each client.
//! - `health`: whether the server can do its work, and whether it should be restarted.
//! - [`cli`]: the command line.
//!
//! # Adding an operation
//!
//! 1. Add a file for the operation to the folder of its group. The file has the request type, named after the
//!    `operationId` (`SendMessageRequest`), the response type, named after what it is (`Receipt`, because client
//!    generators use the name `SendMessageResponse` themselves), an enum of the statuses (`SendMessageReply`), and a
//!    function that parses the request, calls the use case, and maps its outcome to a response.
//! 2. Add the annotated method to the group's `mod.rs`. The doc comments become part of the OpenAPI document.
//! 3. Regenerate the document: `cargo run -- openapi > openapi.yaml`.

pub mod api;
mod budget;
pub mod cli;
mod health;
mod logging;
pub mod server;
mod services;

pub use woosh_adapters::database;
