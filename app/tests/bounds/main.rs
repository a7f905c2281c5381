//! Tests that no client can make the server use an unlimited amount of memory or time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod documents;
mod hang_ups;
mod pages;
mod slow_clients;
#[path = "../support/mod.rs"]
mod support;
