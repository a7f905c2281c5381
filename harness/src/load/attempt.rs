use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::Run;
use crate::client::send;

/// The result of one request.
pub(super) enum Attempt {
    /// A server answered, with this status and body (`null` if the body is not JSON).
    Answered(u16, Value),
    /// No server is available.
    Unavailable,
    /// The client did not wait for the response.
    Dropped,
}

impl Run {
    /// Sends a request, and waits for its response for at most `limit`.
    pub(super) async fn attempt(&self, request: RequestBuilder, limit: Duration) -> Attempt {
        match timeout(limit, send(request)).await {
            Ok(Ok(response)) => {
                let retry_after = response.headers.contains_key(RETRY_AFTER);
                if self.is_unavailable(&response.request, response.status, retry_after) {
                    return Attempt::Unavailable;
                }
                Attempt::Answered(response.status.as_u16(), serde_json::from_str(&response.text).unwrap_or_default())
            }
            Ok(Err(_)) => {
                self.ledger().no_response += 1;
                Attempt::Unavailable
            }
            Err(_) => Attempt::Dropped,
        }
    }

    /// Opens a stream. Returns the response to it unless no server is available, or there is none within `limit`.
    pub(super) async fn open(&self, request: RequestBuilder, limit: Duration) -> Option<reqwest::Response> {
        match timeout(limit, request.send()).await {
            Ok(Ok(response)) => {
                let retry_after = response.headers().contains_key(RETRY_AFTER);
                (!self.is_unavailable("a stream", response.status(), retry_after)).then_some(response)
            }
            Ok(Err(_)) => {
                self.ledger().no_response += 1;
                None
            }
            Err(_) => None,
        }
    }

    /// Counts a response. Returns whether it means that no server is available.
    fn is_unavailable(&self, request: &str, status: StatusCode, retry_after: bool) -> bool {
        *self.ledger().answers.entry(status.as_u16()).or_default() += 1;
        // 507: the disk is full.
        let unavailable = match status.as_u16() {
            503 | 507 => true,
            502 | 504 => self.conditions.behind_proxy,
            _ => false,
        };
        if unavailable && !retry_after && !self.conditions.behind_proxy {
            self.ledger().violate(format!("{request} returned {} without Retry-After", status.as_u16()));
        }
        unavailable
    }
}
