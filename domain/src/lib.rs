//! The heart of Woosh: what it keeps, what can be done with it, and what it needs from outside.
//!
//! - [`model`]: the types, none of which can hold an invalid value.
//! - [`use_cases`]: what a client can ask for, one file each.
//! - [`planner`]: works out what a batch of sends changes, for every store.
//! - [`ports`]: what the use cases need from a database, a clock or a password hash, as traits. The contract of
//!   each method is its doc comment.
//! - `contract` (feature `contract`): that contract as test cases, for every implementation of the ports.
//! - `fakes` (feature `fakes`): implementations in memory, for tests.
//!
//! Nothing here does I/O or knows an async runtime, a database or a web framework.
//!
//! # To add a use case
//!
//! 1. Say in the port's trait which atomic step it needs, as MUST sentences, and in `contract` how to check them.
//! 2. Implement the step in `fakes`, then in the adapters.
//! 3. Write the use case with its own error enum, and its unit tests.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "fakes")]
pub mod fakes;
pub mod model;
pub mod planner;
pub mod ports;
pub mod use_cases;
