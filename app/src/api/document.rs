//! The OpenAPI document: what poem-openapi makes of the operations, with what it can't say added.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poem::http::Method;
use serde_json::{Map, Value, json};

use super::{classic, service, v1};

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
        let yaml = serde_yaml_ng::to_string(&document).unwrap_or_else(|error| unreachable!("JSON is YAML: {error}"));
        Self { yaml: quote_times(&yaml), json: format!("{document:#}\n"), raw, methods: methods(&document) }
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
        let exact = self.methods.get(path);
        let template = || self.methods.iter().find(|(template, _)| fits(template, path)).map(|(_, methods)| methods);
        exact.or_else(template).into_iter().flatten()
    }
}

/// Whether a path is one of those that a template stands for.
fn fits(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    let all = template.by_ref().zip(path.by_ref()).all(|(name, part)| name == part || name.starts_with('{'));
    all && template.next().is_none() && path.next().is_none()
}

/// Puts times into quotes. To many a reader of YAML they are else no strings.
fn quote_times(yaml: &str) -> String {
    let quote = |line: &str| match line.split_once("_at: ") {
        Some((name, time)) if time.ends_with('Z') => format!("{name}_at: '{time}'\n"),
        _ => format!("{line}\n"),
    };
    yaml.lines().map(quote).collect()
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

/// What every error of v1 looks like, and every other.
const V1_ERROR: (&str, &str) = (v1::MEDIA_TYPE, "Problem");
const CLASSIC_ERROR: (&str, &str) = ("application/json", "ClassicError");

/// Adds what poem-openapi can't say, and mends what generators of clients stumble over.
fn complete(document: &mut Value) {
    document["info"]["description"] = json!(
        "The delivery server for end-to-end encrypted messaging: it keeps users and their public keys, takes opaque \
         ciphertext, stores it and hands it to recipients. It never decrypts anything.\n\nTo try it out, register `alice` \
         with the example, and authorize with the `token` that you get. Send a message with the example, to yourself for \
         once, read the mailbox, and acknowledge what you have read.\n\nErrors of v1 are problem details of RFC 9457, with \
         a `code` that says to programs what is wrong. The operations under Classic are the original's, for the clients \
         that have them: new clients use v1."
    );
    document["info"]["license"] = json!({ "name": "MIT", "url": "https://opensource.org/license/mit" });
    // Relative to where the document is, so that "Try it out" asks the server that served it.
    document["servers"] = json!([{ "url": "/", "description": "This server" }]);

    let Some(paths) = document["paths"].as_object_mut() else {
        return;
    };
    let mut tags = Vec::new();
    for (path, operations) in paths {
        for operation in operations.as_object_mut().into_iter().flat_map(Map::values_mut) {
            complete_operation(operation, path.starts_with("/v1/"));
            tags.extend(operation["tags"][0].as_str().map(str::to_owned));
        }
    }
    if let Some(groups) = document["tags"].as_array_mut() {
        // In the order of the paths, not of the alphabet.
        groups.sort_by_key(|group| tags.iter().position(|tag| group["name"] == **tag));
    }
    let schemas = &mut document["components"]["schemas"];
    for update in ["UpdateUserOutcome", "ClassicUpdate"] {
        schemas[update]["minProperties"] = json!(1);
    }
    // There it is as good as nothing.
    schemas["ClassicRegistration"]["properties"]["info"]["nullable"] = json!(true);
    for (path, media_type) in [("/openapi.yaml", "application/yaml"), ("/openapi.json", "application/json")] {
        // poem-openapi sends text. As YAML or JSON it is no string.
        let answer = &mut document["paths"][path]["get"]["responses"]["200"];
        answer["content"][media_type]["schema"] = json!({ "type": "object" });
    }
    plain(document);
}

fn complete_operation(operation: &mut Value, is_v1: bool) {
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let secured = operation.contains_key("security");
    let has_body = operation.contains_key("requestBody");
    if !secured {
        operation.insert("security".to_owned(), json!([]));
    } else if !is_v1 {
        // Both headers, where poem-openapi can only say either.
        let both = BTreeMap::from(classic::SCHEMES.map(|name| (name, [""; 0])));
        operation.insert("security".to_owned(), json!([both]));
    }

    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    let (media_type, schema) = if is_v1 { V1_ERROR } else { CLASSIC_ERROR };
    let mut add = |status: &str, description: &str| {
        let schema = json!({ "$ref": format!("#/components/schemas/{schema}") });
        let response = json!({ "description": description, "content": { media_type: { "schema": schema } } });
        responses.insert(status.to_owned(), response);
    };
    match (secured, is_v1) {
        (true, true) => add("401", "`unauthenticated`: the token is missing or unknown, or its session has ended."),
        (true, false) => add("401", "The credentials are missing or wrong; it is not told which."),
        (false, _) => {}
    }
    match (has_body, is_v1) {
        (true, true) => {
            add("408", "`request_timeout`: the body took too long to arrive.");
            add("413", "`body_too_large`: the body is longer than 1 MiB.");
        }
        (true, false) => add("413", "The body is too long."),
        (false, _) => {}
    }
    let unavailable = "can't serve for now (503, with `Retry-After`)";
    match is_v1 {
        true => add("5XX", &format!("`internal_error`: the server failed. `unavailable`: it {unavailable}.")),
        false => add("5XX", &format!("The server failed, or {unavailable}.")),
    }
    responses.sort_keys();
}

/// Makes media types, header names and numbers as plain as they are elsewhere.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (odd, usual) in [
                // JSON has no charset.
                ("application/json; charset=utf-8", "application/json"),
                ("ETAG", "ETag"),
                ("LOCATION", "Location"),
            ] {
                if let Some(value) = map.remove(odd) {
                    map.insert(usual.to_owned(), value);
                }
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Number(number) => {
            // Limits are floating-point numbers to poem-openapi.
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
                *number = (float as i64).into();
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_methods_of_a_path_are_those_of_its_own_or_of_its_template() {
        let methods = |path: &str| document().methods(path).map(Method::to_string).collect::<Vec<_>>().join(", ");
        assert_eq!(methods("/v1/users/me"), "GET, PATCH, DELETE, HEAD");
        assert_eq!(methods("/v1/users/bob"), "GET, HEAD");
        assert_eq!(methods("/v1/sessions/7"), "DELETE");
        assert_eq!(methods("/v1/sessions/7/8"), "");
    }
}
