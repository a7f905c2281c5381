//! Tests of the OpenAPI document: `openapi.yaml` in the repository is up to date, and every operation has an
//! identifier, a summary and security requirements.

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
