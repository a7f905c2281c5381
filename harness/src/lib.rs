//! Fresh, isolated Woosh servers for tests.
//!
//! ```
//! use woosh_harness::{Backend, TestServer};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let server = TestServer::start(Backend::Sqlite).await?;
//! let response = reqwest::get(format!("{}/health/ready", server.url())).await?;
//! assert!(response.status().is_success());
//! // Dropping the server stops it and deletes its data.
//! # anyhow::Ok(())
//! # }).unwrap();
//! ```
//!
//! The binary `woosh-harness` starts servers for tests in any language. It also runs the [`sanity`] suite, [`kill`]
//! runs, runs under faults, and the benchmark.

mod backend;
mod bench;
pub mod cli;
pub mod client;
mod deployment;
mod exit_script;
mod faults;
mod guarded_command;
pub mod kill;
mod load;
pub mod postgres;
pub mod sanity;
mod server_process;
mod temp_folder;
mod test_database;
mod test_server;

pub use backend::Backend;
pub use server_process::ServerProcess;
pub use test_database::TestDatabase;
pub use test_server::TestServer;
