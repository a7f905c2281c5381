//! Tests of the OpenAPI document: `openapi.yaml` in the repository is up to date, and every operation has an
//! identifier, a summary and security requirements.

use std::path::Path;

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
