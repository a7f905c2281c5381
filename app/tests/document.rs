//! Tests of the OpenAPI document: `openapi.yaml` in the repository is up to date, and every operation has an
//! identifier, a summary and security requirements.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};
use woosh_server::api::document;

#[test]
fn the_document_in_the_repository_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi.yaml");
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(
        kept == document().yaml(),
        "openapi.yaml is out of date; regenerate it with: cargo run -- openapi > openapi.yaml"
    );
}

#[test]
fn every_operation_has_an_id_a_summary_and_json_without_charset() {
    let json = document().json();
    assert!(!json.contains("charset"));
    let operations = json.matches("\"responses\": {").count();
    assert_eq!(json.matches("\"operationId\": ").count(), operations);
    assert_eq!(json.matches("\"summary\": ").count(), operations);
    assert_eq!(json.matches("\"security\": ").count(), operations);
}

fn parsed() -> Value {
    serde_json::from_str(document().json()).unwrap()
}

/// Returns the entries of the object at a JSON pointer.
fn object<'a>(document: &'a Value, pointer: &str) -> &'a Map<String, Value> {
    document.pointer(pointer).and_then(Value::as_object).unwrap_or_else(|| panic!("no object at {pointer}"))
}

/// Returns all operations, each with its path.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let paths = object(document, "/paths").iter();
    paths.flat_map(|(path, operations)| {
        operations.as_object().unwrap().values().map(|operation| (path.as_str(), operation))
    })
}

#[test]
fn no_schema_has_a_name_that_generated_clients_use_themselves() {
    let document = parsed();
    let schemas = object(&document, "/components/schemas");
    let names: BTreeSet<_> = schemas.keys().map(|name| name.to_lowercase()).collect();
    assert_eq!(names.len(), schemas.len(), "two names differ only in case");
    for (_, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap().to_lowercase();
        for suffix in ["", "response", "responses", "error", "errors", "data", "params", "result"] {
            assert!(!names.contains(&format!("{id}{suffix}")), "generators make {id}{suffix}");
        }
    }
    for (name, schema) in schemas {
        // In Go, `NewX` is the constructor of `X`, and `NullableX` its optional form.
        for prefix in ["new", "nullable"] {
            let made = format!("{prefix}{}", name.to_lowercase());
            assert!(!names.contains(&made), "generators make {made}");
        }
        let fields = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        for field in fields {
            assert_ne!(field.replace('_', ""), name.to_lowercase(), "in Python, the field hides the class");
        }
    }
}

#[test]
fn strings_with_known_values_are_open() {
    let document = parsed();
    assert!(!document.to_string().contains("\"enum\":"), "an enumeration is closed: clients fail at a new value");
    for (name, value) in [
        ("ProblemCode", "invalid_request"),
        ("ProblemCode", "mailbox_full"),
        ("GapReason", "expired"),
        ("UndeliveredReason", "mailbox_full"),
    ] {
        let schema = &document["components"]["schemas"][name];
        assert_eq!(schema["type"], "string");
        assert!(schema["x-extensible-enum"].as_array().unwrap().contains(&value.into()), "{schema}");
        let description = schema["description"].as_str().unwrap();
        assert!(description.contains(&format!("`{value}`")) && description.contains("unknown values"), "{description}");
    }
    assert!(document["info"]["description"].as_str().unwrap().contains("accept unknown values"));
}

#[test]
fn a_field_with_a_description_of_its_own_adds_no_second_schema() {
    let field = parsed()["components"]["schemas"]["MailboxPage"]["properties"]["incarnation"].clone();
    assert_eq!(field["allOf"].as_array().unwrap().len(), 1, "{field}");
    assert!(field["description"].is_string());
}

/// Returns all responses that are errors, each with its status and its only media type.
fn errors(document: &Value) -> impl Iterator<Item = (String, &Value, &Value)> {
    operations(document).flat_map(|(path, operation)| {
        let errors = operation["responses"].as_object().unwrap().iter().filter(|(status, _)| status.as_str() >= "4");
        errors.map(move |(status, response)| {
            let media_type = response["content"].as_object().unwrap().values().next();
            (format!("{path} {status}"), response, media_type.unwrap())
        })
    })
}

#[test]
fn every_error_has_examples_with_its_own_code_and_status() {
    let document = parsed();
    let (mut codes, mut classic) = (BTreeSet::new(), 0);
    for (name, response, content) in errors(&document) {
        let status = name.rsplit(' ').next().unwrap();
        let is_status = |example: &Value| {
            let own = example["status"].to_string();
            own == status || status == "5XX" && own.starts_with('5')
        };
        let Some(examples) = content["examples"].as_object() else {
            assert!(is_status(&content["example"]), "{name}: {content}");
            classic += 1;
            continue;
        };
        assert!(!examples.is_empty(), "{name} has no example: {response}");
        for (code, example) in examples {
            let example = &example["value"];
            assert_eq!(example["code"], code.as_str(), "{name}");
            assert!(is_status(example), "{name}: {example}");
            assert!(response["description"].as_str().unwrap().contains(code), "{name}: {response}");
            let has_position = content["schema"]["$ref"].as_str().unwrap().ends_with("/MailboxProblem");
            assert_eq!(example["incarnation"].is_string(), has_position, "{name}: {example}");
            codes.insert(code.clone());
        }
    }
    assert!(classic > 10);
    for code in ["wrong_credentials", "username_taken", "beyond_mailbox", "mailbox_full", "unavailable"] {
        assert!(codes.contains(code), "{code} is in no example");
    }
}

#[test]
fn retry_after_is_declared_where_the_server_sends_it() {
    let document = parsed();
    for (name, response, _) in errors(&document) {
        let declared = response["headers"]["Retry-After"]["schema"]["type"] == "integer";
        let sent = ["503", "507", "5XX"].iter().any(|status| name.ends_with(status));
        assert_eq!(declared, sent, "{name}: {response}");
    }
}

#[test]
fn the_items_of_the_event_stream_are_a_schema() {
    let document = parsed();
    let content = &document["paths"]["/v1/mailbox/stream"]["get"]["responses"]["200"]["content"];
    assert_eq!(content["text/event-stream"]["schema"]["$ref"], "#/components/schemas/StreamEvent");
    let items: Vec<_> = document["components"]["schemas"]["StreamEvent"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["$ref"].as_str().unwrap())
        .collect();
    assert_eq!(items, ["#/components/schemas/Message", "#/components/schemas/Gap"]);
}

#[test]
fn only_operations_that_clients_call_are_listed_and_all_of_their_content_types_are_known_to_generators() {
    let document = parsed();
    assert!(operations(&document).all(|(path, _)| !path.starts_with("/docs") && !path.starts_with("/openapi")));
    for (path, operation) in operations(&document) {
        for response in operation["responses"].as_object().unwrap().values() {
            for media_type in response["content"].as_object().into_iter().flat_map(Map::keys) {
                let known = ["application/json", "application/problem+json", "text/event-stream"];
                assert!(known.contains(&media_type.as_str()), "{path}: {media_type}");
            }
        }
    }
}

#[test]
fn the_bearer_token_is_the_first_security_scheme() {
    let document = parsed();
    let schemes = object(&document, "/components/securitySchemes");
    assert_eq!(schemes.keys().next().unwrap(), "Bearer");
    assert_eq!(schemes["Bearer"]["scheme"], "bearer");
}
