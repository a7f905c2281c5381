//! The OpenAPI document: what poem-openapi makes of the operations, with what it can't say added.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poem::http::Method;
use serde_json::{Map, Value, json};

use super::classic;
use super::service;

/// The document, in its forms.
pub struct Document {
    yaml: String,
    json: String,
    /// As poem-openapi wrote it, to be found and replaced in the page that it makes.
    raw: String,
    methods: BTreeMap<String, Vec<Method>>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::new);

/// The document of the API. It needs no database and is always the same.
pub fn document() -> &'static Document {
    &DOCUMENT
}

impl Document {
    fn new() -> Self {
        let raw = service().spec();
        let mut document: Value =
            serde_json::from_str(&raw).unwrap_or_else(|error| unreachable!("poem-openapi writes JSON: {error}"));
        complete(&mut document);
        Self {
            yaml: serde_yaml_ng::to_string(&document).unwrap_or_else(|error| unreachable!("JSON is YAML: {error}")),
            json: format!("{document:#}\n"),
            raw,
            methods: methods(&document),
        }
    }

    /// As YAML.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }

    /// As JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// As a page of Swagger UI that loads nothing from elsewhere.
    pub fn page(&self) -> String {
        service().swagger_ui_html().replace(&self.raw, &self.json).replace("<title>Swagger UI", "<title>Woosh")
    }

    /// The methods of a path.
    pub(super) fn methods(&self, path: &str) -> impl Iterator<Item = &Method> {
        self.methods.get(path).into_iter().flatten()
    }
}

fn methods(document: &Value) -> BTreeMap<String, Vec<Method>> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths
        .map(|(path, operations)| {
            let names = operations.as_object().into_iter().flat_map(Map::keys);
            let mut methods: Vec<Method> = names.filter_map(|name| name.to_uppercase().parse().ok()).collect();
            if methods.contains(&Method::GET) {
                methods.push(Method::HEAD);
            }
            (path.clone(), methods)
        })
        .collect()
}

/// Adds what poem-openapi can't say, and mends what generators of clients stumble over.
fn complete(document: &mut Value) {
    document["info"]["description"] = json!(
        "The delivery server for end-to-end encrypted messaging: it keeps users and their public keys, takes opaque \
         ciphertext, stores it and hands it to recipients. It never decrypts anything.\n\nTo try it out, register \
         `alice` with the example, and `bob` likewise. Then authorize as `bob`, find `alice` and send her a message, and \
         authorize as `alice` to poll for it."
    );
    document["info"]["license"] = json!({ "name": "MIT", "url": "https://opensource.org/license/mit" });
    // Relative to where the document is, so that "Try it out" asks the server that served it.
    document["servers"] = json!([{ "url": "/", "description": "This server" }]);

    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(|path| path.values_mut()) {
        complete_operation(operation);
    }
    plain_json(document);
}

fn complete_operation(operation: &mut Value) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let secured = operation.contains_key("security");
    let has_body = operation.contains_key("requestBody");
    // Both headers, where poem-openapi can only say either.
    let security =
        if secured { json!([BTreeMap::from(classic::SCHEMES.map(|name| (name, [""; 0])))]) } else { json!([]) };
    operation.insert("security".to_owned(), security);

    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let mut add = |status: &str, description: &str| {
        let schema = json!({ "$ref": "#/components/schemas/ClassicError" });
        let response = json!({ "description": description, "content": { "application/json": { "schema": schema } } });
        responses.insert(status.to_owned(), response);
    };
    if secured {
        add("401", "The credentials are missing or wrong; it is not told which.");
    }
    if has_body {
        add("413", "The body is too long.");
    }
    add("5XX", "The server failed, or can't serve for now (503, with `Retry-After`).");
    responses.sort_keys();
}

/// Takes the charset, which JSON has none of, from the media types.
fn plain_json(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(media) = map.remove("application/json; charset=utf-8") {
                map.insert("application/json".to_owned(), media);
            }
            map.values_mut().for_each(plain_json);
        }
        Value::Array(items) => items.iter_mut().for_each(plain_json),
        _ => {}
    }
}
