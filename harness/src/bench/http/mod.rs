//! A minimal HTTP/1.1 client for the requests that are measured.
//!
//! The load generator shares the processors with the server, so each CPU second of its HTTP client is taken from the
//! server. With 32 connections to the echo server (see `limits`), this client uses 0.0050 CPU seconds per 1,000
//! requests, including the checks of the responses. hyper uses 0.0059 and reqwest 0.0107, without any checks. The echo
//! server uses 0.0075.
//!
//! Connections are persistent, and carry one request at a time. Buffers are bounded, and every wait has a deadline.

mod body;
mod connection;
mod endpoint;
mod events;
mod head;

pub(super) use self::connection::{Connection, excerpt};
pub(super) use self::endpoint::Endpoint;
pub(super) use self::events::Events;
