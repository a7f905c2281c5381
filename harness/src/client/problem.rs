use anyhow::{Context as _, ensure};
use reqwest::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use super::ApiResponse;

/// All error codes of v1, each with its status and the header that the response must have.
pub(crate) const PROBLEMS: [(&str, u16, Option<HeaderName>); 26] = [
    ("invalid_request", 400, None),
    ("unauthenticated", 401, Some(WWW_AUTHENTICATE)),
    ("wrong_credentials", 401, Some(WWW_AUTHENTICATE)),
    ("wrong_password", 403, None),
    ("search_off", 403, None),
    ("not_found", 404, None),
    ("user_not_found", 404, None),
    ("recipient_not_found", 404, None),
    ("session_not_found", 404, None),
    ("device_not_found", 404, None),
    ("method_not_allowed", 405, Some(ALLOW)),
    ("request_timeout", 408, None),
    ("username_taken", 409, None),
    ("too_many_devices", 409, None),
    ("last_device", 409, None),
    ("cursor_ahead", 409, None),
    ("mailbox_restored", 409, None),
    ("version_mismatch", 412, None),
    ("body_too_large", 413, None),
    ("unsupported_media_type", 415, None),
    ("idempotency_key_reused", 422, None),
    ("beyond_mailbox", 422, None),
    ("internal_error", 500, None),
    ("unavailable", 503, Some(RETRY_AFTER)),
    ("mailbox_full", 507, None),
    ("storage_full", 507, Some(RETRY_AFTER)),
];

impl ApiResponse {
    /// Fails unless the response is a valid problem with the code `code`, a `detail` that contains all `parts`, and no
    /// additional fields.
    pub(crate) fn expect_problem(&self, code: &str, parts: &[&str]) -> anyhow::Result<()> {
        self.expect_problem_with(code, parts, json!({}))
    }

    /// Like [`Self::expect_problem`], but the problem must have additional fields that describe the mailbox: its
    /// incarnation, its last acknowledged sequence number, and its newest sequence number. The expected values are
    /// taken from `page`, a page that includes the newest message.
    pub(crate) fn expect_mailbox_problem(&self, code: &str, parts: &[&str], page: &Value) -> anyhow::Result<()> {
        let position = json!({
            "incarnation": page["incarnation"],
            "acknowledged": page["acknowledged"],
            "newest": page["up_to"],
        });
        self.expect_problem_with(code, parts, position)
    }

    /// Like [`Self::expect_problem`], but the problem must have the additional fields `members`, and no others.
    fn expect_problem_with(&self, code: &str, parts: &[&str], members: Value) -> anyhow::Result<()> {
        let (_, status, header) =
            PROBLEMS.iter().find(|(known, ..)| *known == code).with_context(|| format!("unknown code {code}"))?;
        let problem = self.expect(*status)?;
        let (title, detail) = (self.text_of(&problem, "title")?, self.text_of(&problem, "detail")?);
        let mut expected = json!({
            "type": format!("urn:woosh:problem:{code}"),
            "title": title,
            "status": status,
            "detail": detail,
            "code": code,
        });
        if let (Some(expected), Value::Object(members)) = (expected.as_object_mut(), members) {
            expected.extend(members);
        }
        ensure!(problem == expected, "{} returned {problem}, expected {expected}", self.request);
        for part in parts {
            ensure!(detail.contains(part), "{}: the detail does not contain {part:?}: {detail}", self.request);
        }
        let content_type = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_problem = content_type.is_some_and(|value| value.starts_with(b"application/problem+json"));
        ensure!(is_problem, "{} returned a problem with another content type: {:?}", self.request, self.headers);
        if let Some(header) = header {
            ensure!(self.headers.contains_key(header), "{} returned {code} without {header}", self.request);
        }
        Ok(())
    }

    /// Returns a text field of the problem. Fails if the text is missing or empty.
    fn text_of<'a>(&self, problem: &'a Value, field: &str) -> anyhow::Result<&'a str> {
        let text = problem[field].as_str().filter(|text| !text.is_empty());
        text.with_context(|| format!("{} returned a problem without a {field}: {problem}", self.request))
    }
}
