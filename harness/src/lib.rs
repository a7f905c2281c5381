//! Fresh, isolated Woosh servers for tests.
//!
//! ```
//! use woosh_harness::{Backend, TestServer};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! let server = TestServer::start(Backend::Sqlite).await?;
//! let answer = reqwest::get(format!("{}/health/ready", server.url())).await?;
//! assert!(answer.status().is_success());
//! // The server goes when it is dropped, and its data with it.
//! # anyhow::Ok(())
//! # }).unwrap();
//! ```
//!
//! The binary `woosh-harness` offers the same to any language, and the black-box [`sanity`] suite.

mod backend;
pub mod cli;
pub mod client;
pub mod kill;
pub mod postgres;
pub mod sanity;
mod scratch;
mod server_process;
mod test_database;
mod test_server;
mod watcher;

pub use backend::Backend;
pub use server_process::ServerProcess;
pub use test_database::TestDatabase;
pub use test_server::TestServer;
