//! Builds the OpenAPI document: poem-openapi generates it, and this module adds what poem-openapi can't express.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use poem::http::Method;
use serde_json::{Map, Value, json};

use super::{classic, error_responses, service};

/// The paths of the operations that the document does not list, because clients have no use for them. All of these
/// operations accept `GET` only.
const UNLISTED: [&str; 5] = ["/", "/favicon.ico", "/docs", "/openapi.yaml", "/openapi.json"];

/// The OpenAPI document as JSON and as YAML.
pub struct Document {
    yaml: String,
    json: String,
    /// The JSON that poem-openapi generates, without the additions of this module. The Swagger UI page of poem-openapi
    /// contains this text; [`Document::page`] replaces it with the complete document.
    raw: String,
    methods: BTreeMap<String, Vec<Method>>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(Document::new);

/// Returns the OpenAPI document, which is the same for every server. Building it needs no database.
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
        let mut methods = methods(&document);
        methods.extend(UNLISTED.map(|path| (path.to_owned(), vec![Method::GET, Method::HEAD])));
        Self { yaml: quote_times(&yaml), json: format!("{document:#}\n"), raw, methods }
    }

    /// Returns the document as YAML.
    pub fn yaml(&self) -> &str {
        &self.yaml
    }

    /// Returns the document as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns a self-contained Swagger UI page, which loads nothing from other hosts.
    pub fn page(&self) -> String {
        service().swagger_ui_html().replace(&self.raw, &self.json).replace("<title>Swagger UI", "<title>Woosh")
    }

    /// Returns the HTTP methods that the API accepts for this path. If the path accepts `GET`, also returns `HEAD`.
    pub(super) fn methods(&self, path: &str) -> impl Iterator<Item = &Method> {
        let exact = self.methods.get(path);
        let template = || self.methods.iter().find(|(template, _)| matches(template, path)).map(|(_, methods)| methods);
        exact.or_else(template).into_iter().flatten()
    }
}

/// Returns whether a path matches a path template, such as `/v1/users/{username}`.
fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    let all = template.by_ref().zip(path.by_ref()).all(|(name, part)| name == part || name.starts_with('{'));
    all && template.next().is_none() && path.next().is_none()
}

/// Quotes times, because many YAML parsers would read unquoted times as timestamps instead of strings.
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

/// Completes the generated document: adds what poem-openapi can't express, and changes what client generators can't
/// handle.
fn complete(document: &mut Value) {
    document["info"]["description"] = json!(
        "Woosh is a delivery server for end-to-end encrypted messaging. It stores users and their public keys, \
         accepts opaque ciphertext from senders, stores it durably, and delivers it to every device of the \
         recipients. Clients do all the cryptography: the server never decrypts anything.\n\n**Try it out.** Register \
         `alice` with the example request, click *Authorize* and paste the returned `token`. Send the example \
         message, whose sender and recipient are both alice. Then read the mailbox and acknowledge the \
         message.\n\n**Errors.** v1 returns problem details (RFC 9457) with a stable, machine-readable `code`. If a \
         5XX response has the header `Retry-After`, wait for that number of seconds, then retry the \
         request.\n\n**Compatibility.** New versions of the server may add response fields, types of events, and values of \
         string fields. Clients must ignore unknown fields and events, and accept unknown values, even of fields whose \
         known values this document lists (`x-extensible-enum`).\n\n**Versions.** Use v1 (paths under `/v1`). The \
         Classic operations are deprecated. They remain for existing clients of the original server. The server serves \
         this document as a page at `/docs`, and as a file at `/openapi.yaml` and `/openapi.json`."
    );
    document["info"]["license"] = json!({ "name": "MIT", "url": "https://opensource.org/license/mit" });
    // A relative URL, so that "Try it out" calls the server that served the document.
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
        // Swagger UI shows the groups in this order: that of their first paths, instead of the alphabet.
        groups.sort_by_key(|group| tags.iter().position(|tag| group["name"] == **tag));
    }
    let schemas = &mut document["components"]["schemas"];
    for update in ["UpdateOwnUserRequest", "ClassicUpdateOwnUserRequest"] {
        schemas[update]["minProperties"] = json!(1);
    }
    open_enumerations(schemas);
    // The server accepts `null` and treats it like an absent field.
    schemas["ClassicRegisterUserRequest"]["properties"]["info"]["nullable"] = json!(true);
    normalize(document);
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
        // Both headers are required; poem-openapi can only declare them as alternatives.
        let both = BTreeMap::from(classic::SCHEMES.map(|name| (name, Vec::<String>::new())));
        operation.insert("security".to_owned(), json!([both]));
    }

    if let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) {
        error_responses::complete(responses, is_v1, secured, has_body);
    }
}

/// Replaces each enumeration by a string whose description lists the known values. New versions of the server may add
/// values, and many generated clients fail at a value that is not in an enumeration. Also, generators for Go name a
/// constant after each value of an enumeration, so two enumerations can't have the same value.
fn open_enumerations(schemas: &mut Value) {
    for schema in schemas.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some(values) = schema.as_object_mut().and_then(|schema| schema.remove("enum")) else {
            continue;
        };
        let names: Vec<_> =
            values.as_array().into_iter().flatten().filter_map(Value::as_str).map(|name| format!("`{name}`")).collect();
        let description = schema["description"].as_str().unwrap_or_default();
        schema["description"] = json!(format!(
            "{description}\n\nKnown values: {}. Clients must accept unknown values, because new versions of the server \
             may add values.",
            names.join(", ")
        ));
        schema["x-extensible-enum"] = values;
    }
}

/// Corrects how the generated document writes some values: the media type of JSON without a charset, header names in
/// their usual case, and whole numbers as integers.
fn normalize(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (from, to) in [
                // The media type of JSON defines no charset parameter.
                ("application/json; charset=utf-8", "application/json"),
                ("ETAG", "ETag"),
                ("LOCATION", "Location"),
                ("RETRY-AFTER", "Retry-After"),
            ] {
                if let Some(value) = map.remove(from) {
                    map.insert(to.to_owned(), value);
                }
            }
            if let Some(Value::Array(parts)) = map.get_mut("allOf") {
                // poem-openapi adds the description as a schema. Generators would build a type from both schemas.
                parts.retain(|part| part.as_object().is_none_or(|part| !part.keys().eq(["description"])));
            }
            map.values_mut().for_each(normalize);
        }
        Value::Array(items) => items.iter_mut().for_each(normalize),
        Value::Number(number) => {
            // poem-openapi writes integer limits as floating-point numbers.
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
    fn a_path_has_the_methods_of_its_exact_entry_or_its_template() {
        let methods = |path: &str| document().methods(path).map(Method::to_string).collect::<Vec<_>>().join(", ");
        assert_eq!(methods("/v1/users/me"), "GET, PATCH, DELETE, HEAD");
        assert_eq!(methods("/v1/users/bob"), "GET, HEAD");
        assert_eq!(methods("/v1/sessions/7"), "DELETE");
        assert_eq!(methods("/v1/sessions/7/8"), "");
        assert_eq!(methods("/openapi.yaml"), "GET, HEAD");
    }
}
