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
    /// No server is available: the connection failed, or the status of the response says so, such as 503.
    Unavailable,
    /// No response arrived within the limit, so the client dropped the request.
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

    /// Sends a request for a stream. Returns the response. Returns `None` if no server is available, or no response
    /// arrives within `limit`.
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

    /// Counts a response. Returns whether the response means that no server is available.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Conditions;

    /// Returns whether a response means that no server is available, and whether the response is recorded as a
    /// violation.
    fn judge(status: u16, retry_after: bool, behind_proxy: bool) -> (bool, bool) {
        let run = Run::new(Conditions {
            urls: Vec::new(),
            suffix: String::new(),
            behind_proxy,
            late_recipient: false,
            limit: Duration::ZERO,
            pause: Duration::ZERO,
        });
        let unavailable = run.is_unavailable("a request", StatusCode::from_u16(status).unwrap(), retry_after);
        let violated = !run.ledger().violations().is_empty();
        (unavailable, violated)
    }

    #[test]
    fn a_server_is_unavailable_only_if_it_says_when_to_retry() {
        for status in [503, 507] {
            assert_eq!(judge(status, true, false), (true, false));
            assert_eq!(judge(status, false, false), (true, true));
            assert_eq!(judge(status, false, true), (true, false));
        }
        for status in [502, 504] {
            assert_eq!(judge(status, true, false), (false, false), "the caller reports it");
            assert_eq!(judge(status, false, true), (true, false));
        }
        assert_eq!(judge(500, true, true), (false, false), "the caller reports it");
    }
}
