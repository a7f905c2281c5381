//! Completes the error responses of the OpenAPI document: adds those that several operations share.

use serde_json::{Map, Value, json};

use super::v1;

/// Media type of the error responses of v1, and the name of their schema. `CLASSIC_ERROR` has the media type and the
/// name for the classic API.
const V1_ERROR: (&str, &str) = (v1::MEDIA_TYPE, "Problem");
const CLASSIC_ERROR: (&str, &str) = ("application/json", "ClassicError");

/// Completes the responses of an operation.
pub(super) fn complete(responses: &mut Map<String, Value>, is_v1: bool, secured: bool, has_body: bool) {
    add_shared(responses, is_v1, secured, has_body);
    responses.sort_keys();
}

fn add_shared(responses: &mut Map<String, Value>, is_v1: bool, secured: bool, has_body: bool) {
    let (media_type, schema) = if is_v1 { V1_ERROR } else { CLASSIC_ERROR };
    let mut add = |status: &str, description: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let response = json!({ "description": description, "content": { media_type: { "schema": schema } } });
        responses.insert(status.to_owned(), response);
    };
    match (secured, is_v1) {
        (true, true) => add("401", "`unauthenticated`: the token is missing or invalid, or its session has ended."),
        (true, false) => add("401", "The credentials are missing or wrong."),
        (false, _) => {}
    }
    match (has_body, is_v1) {
        (true, true) => {
            add("408", "`request_timeout`: the body did not arrive within 20 seconds.");
            add("413", "`body_too_large`: the body is longer than 1 MiB.");
        }
        (true, false) => add("413", "The body is longer than 1 MiB."),
        (false, _) => {}
    }
    let unavailable = "the server is temporarily unavailable (503): retry after the seconds in `Retry-After`";
    let full = "the disk of the database is full (507, with `Retry-After`)";
    match is_v1 {
        true => add(
            "5XX",
            &format!("`internal_error`: the server failed. `unavailable`: {unavailable}. `storage_full`: {full}."),
        ),
        false => add("5XX", &format!("The server failed, {unavailable}, or {full}.")),
    }
}
