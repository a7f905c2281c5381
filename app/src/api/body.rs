//! JSON request bodies.

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::content_type;
use super::field_error::FieldError;
use super::json::{from_value, is_json};
use super::limits::IncomingBody;

/// A JSON request body.
pub(super) struct Body<T>(pub(super) T);

/// Why a request body is invalid. The error message names the invalid field, and never repeats the value of the field,
/// which may be a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is missing: expected a JSON object")]
    Missing,
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("the body is not a JSON object")]
    NotAnObject,
    #[error(transparent)]
    Field(#[from] FieldError),
}

impl ResponseError for BodyError {
    fn status(&self) -> StatusCode {
        StatusCode::BAD_REQUEST
    }
}

impl<'a, T: Type + DeserializeOwned> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let json = MetaMediaType { content_type: "application/json", schema: T::schema_ref() };
        Some(MetaRequest { description: None, content: vec![json], required: true })
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        content_type::check(request)?;
        let bytes = match request.data::<IncomingBody>() {
            Some(body) => body.read().await?,
            None => Vec::new(),
        };
        Ok(Self(parse(&bytes)?))
    }
}

/// Some libraries write a byte order mark before the text.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.is_empty() {
        return Err(BodyError::Missing);
    }
    // Most bodies are valid and need no intermediate value. The first byte decides, because structs accept arrays, too.
    if bytes.trim_ascii_start().starts_with(b"{")
        && let Ok(body) = serde_json::from_slice(bytes)
        && is_json(bytes)
    {
        return Ok(body);
    }
    // A struct refuses repeated fields. A `Value` keeps the last one, as the original server does. The errors of
    // `serde_json` may repeat the value of a field, those of `from_value` don't.
    let value: Value = serde_json::from_slice(bytes).map_err(BodyError::NotJson)?;
    if !value.is_object() {
        return Err(BodyError::NotAnObject);
    }
    Ok(from_value(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Example {
        password: String,
        #[serde(default)]
        info: Option<String>,
        #[serde(default)]
        others: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Part {
        #[serde(rename = "info")]
        _info: String,
    }

    fn error(body: &str) -> String {
        parse::<Example>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_field_and_never_repeat_its_value() {
        assert_eq!(error(""), "the body is missing: expected a JSON object");
        assert!(error("{\"password\": ").starts_with("the body is not JSON: "));
        assert_eq!(error("[1]"), "the body is not a JSON object");
        assert_eq!(error(r#"["password", null, []]"#), "the body is not a JSON object");
        assert_eq!(error("{}"), "missing field `password`");
        assert_eq!(error("{\"password\": 4711}"), "password has to be a string");
        assert_eq!(error("{\"password\": null}"), "password has to be a string");
        assert_eq!(error("{\"password\": \"x\", \"info\": [\"secret\"]}"), "info has to be a string");
        let others = |others: &str| error(&format!("{{\"password\": \"x\", \"others\": {others}}}"));
        assert_eq!(others("\"secret\""), "others has to be an array");
        assert_eq!(others("[\"secret\"]"), "others[0] has to be an object");
        assert_eq!(others("[{\"info\": 4711}]"), "others[0].info has to be a string");
        assert_eq!(others("[{}]"), "others[0] missing field `info`");
        assert_eq!(others("[[]]"), "others[0] has to be an object");
        assert_eq!(others("[[\"secret\", 7]]"), "others[0] has to be fewer elements in array");
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let body: Example = parse("\u{feff}{\"password\": \"\u{feff}\"}".as_bytes()).unwrap();
        assert_eq!(body.password, "\u{feff}");
        assert!(error("\u{feff}").starts_with("the body is missing"));
        assert!(error("\u{feff}\u{feff}{}").starts_with("the body is not JSON: "));
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_last_of_duplicate_fields_counts() {
        let body: Example = parse(b" \n{\"password\": \"a\", \"new\": {\"password\": [1, null, \"\\n\"]}}").unwrap();
        assert_eq!((body.password.as_str(), body.info, body.others.len()), ("a", None, 0));
        let body: Example = parse(br#"{"password": "a", "info": null, "new": 1, "password": "b"}"#).unwrap();
        assert_eq!((body.password.as_str(), body.info, body.others.len()), ("b", None, 0));
    }

    #[test]
    fn unknown_fields_have_to_be_valid_json_too() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for value in [r#""\ud800""#, "1e999", "01", "nul", "[1,]", r#"{"a" 1}"#, "\"\u{1}\"", &deep] {
            let error = error(&format!(r#"{{"password": "a", "new": {value}}}"#));
            assert!(error.starts_with("the body is not JSON: "), "{value}: {error}");
        }
    }
}
