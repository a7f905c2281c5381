//! Completes the error responses of the OpenAPI document: adds those that several operations share, and examples and
//! headers to all of them.

use serde_json::{Map, Value, json};

use super::v1;

/// Media type of the error responses of v1, and the name of their schema. `CLASSIC_ERROR` has the media type and the
/// name for the classic API.
const V1_ERROR: (&str, &str) = (v1::MEDIA_TYPE, "Problem");
const CLASSIC_ERROR: (&str, &str) = ("application/json", "ClassicError");

/// Completes the responses of an operation: adds the error responses that it shares with other operations, and adds
/// examples and headers to all of its error responses. `is_v1` tells whether the operation belongs to v1, `secured`
/// whether it needs authentication, and `has_body` whether it has a request body.
pub(super) fn complete(responses: &mut Map<String, Value>, is_v1: bool, secured: bool, has_body: bool) {
    add_shared(responses, is_v1, secured, has_body);
    for (status, response) in responses.iter_mut() {
        add_examples(status, response);
        if ["503", "507", "5XX"].contains(&status.as_str()) {
            add_retry_after(response);
        }
    }
    responses.sort_keys();
}

/// Adds an example for each error that the response can contain. Without examples, tools would make up some, with a
/// code and a status that the response never has.
fn add_examples(status: &str, response: &mut Value) {
    let description = response["description"].as_str().unwrap_or_default().to_owned();
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else {
        return;
    };
    for (media_type, body) in content {
        let schema = body["schema"]["$ref"].as_str().unwrap_or_default();
        if media_type == v1::MEDIA_TYPE {
            let named = v1::examples(&description, schema.ends_with("/MailboxProblem"));
            let examples = named.into_iter().map(|(code, value)| (code.to_owned(), json!({ "value": value })));
            body["examples"] = Value::Object(examples.collect());
        } else if schema.ends_with("/ClassicError") {
            let status = status.parse().unwrap_or(503);
            body["example"] = json!({ "status": status, "message": description });
        }
    }
}

fn add_retry_after(response: &mut Value) {
    let headers = &mut response["headers"];
    if headers["Retry-After"].is_null() && headers["RETRY-AFTER"].is_null() {
        headers["Retry-After"] = json!({
            "description": "Seconds to wait before you retry the request. Not every response has this header.",
            "schema": { "type": "integer" },
        });
    }
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
            add(
                "415",
                "`unsupported_media_type`: `Content-Type` is not `application/json`, or the body is compressed \
                 (`Content-Encoding`).",
            );
        }
        (true, false) => add("413", "The body is longer than 1 MiB."),
        (false, _) => {}
    }
    let retry = "For 503 and 507, wait for the number of seconds in `Retry-After`, then retry the request.";
    match is_v1 {
        true => add(
            "5XX",
            &format!(
                "`internal_error`: the server failed (500). `unavailable`: the server is temporarily unavailable \
                 (503). `storage_full`: the disk of the database is full (507). {retry}"
            ),
        ),
        false => add(
            "5XX",
            &format!(
                "The server failed (500), the server is temporarily unavailable (503), or the disk of the database is \
                 full (507). {retry}"
            ),
        ),
    }
}
