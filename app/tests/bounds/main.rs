//! Tests that the memory and the time that clients can use up have a bound.
#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod documents;
mod hang_ups;
mod pages;
mod slow_clients;
#[path = "../support/mod.rs"]
mod support;
