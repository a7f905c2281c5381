//! Memory and time that clients can take: each has a bound.
#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod documents;
mod pages;
#[path = "../support/mod.rs"]
mod support;
