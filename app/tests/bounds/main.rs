//! Tests that clients can make the server use only a bounded amount of memory and time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod documents;
mod hang_ups;
mod pages;
mod slow_clients;
#[path = "../support/mod.rs"]
mod support;
