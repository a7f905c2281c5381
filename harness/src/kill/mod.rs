//! Kill runs: tests of the delivery contract while servers are killed and started again.
//!
//! [`run`] starts its own servers. [`run_on`] tests a server that is already running.

mod disruption;
mod own;
mod running;

pub use self::own::{Plan, run};
pub use self::running::{Length, RunningPlan, run_on};
pub use crate::load::Outcome;
