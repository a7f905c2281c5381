//! JSON bodies, read as JSON whatever the content type says.

use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Deserializer};
use serde_json::Value;

use super::limits::Incoming;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

/// A body can't be read. The text names the field, never what was in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body is missing: expected a JSON object")]
    Missing,
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    #[error("{0}")]
    Field(String),
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
        let bytes = match request.data::<Incoming>() {
            Some(body) => body.read().await?,
            None => Vec::new(),
        };
        Ok(Self(parse(&bytes)?))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    if bytes.is_empty() {
        return Err(BodyError::Missing);
    }
    // By way of a value, in which the last of several fields of one name counts, as in the original.
    let value: Value = serde_json::from_slice(bytes).map_err(BodyError::NotJson)?;
    if !value.is_object() {
        return Err(BodyError::Field("the body is not a JSON object".to_owned()));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, cause) = (error.path().to_string(), error.inner().to_string());
        // Of what has the wrong type, only what it should be: the rest repeats the value.
        let cause = match cause.rsplit_once(", expected ") {
            Some((_, "a sequence")) => "has to be an array".to_owned(),
            Some((_, expected)) => format!("has to be {expected}"),
            None => cause,
        };
        BodyError::Field(if path == "." { cause } else { format!("{path} {cause}") })
    })
}

/// Reads a field that has to be a string; a number is none, though it could be made one.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(serde::de::Error::custom("has to be a string")),
    }
}

/// Reads a field that has to be a string where it is given; `null` is as good as nothing.
pub(super) fn optional_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text)),
        Value::Null => Ok(None),
        _ => Err(serde::de::Error::custom("has to be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Example {
        #[serde(deserialize_with = "text")]
        password: String,
        #[serde(default, deserialize_with = "optional_text")]
        info: Option<String>,
        #[serde(default)]
        others: Vec<Part>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(expecting = "an object")]
    struct Part {
        #[serde(rename = "info", deserialize_with = "text")]
        _info: String,
    }

    fn error(body: &str) -> String {
        parse::<Example>(body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn each_fault_of_a_body_is_named_and_no_value_is_repeated() {
        assert_eq!(error(""), "the body is missing: expected a JSON object");
        assert!(error("{\"password\": ").starts_with("the body is not JSON: "));
        assert_eq!(error("[1]"), "the body is not a JSON object");
        assert_eq!(error("{}"), "missing field `password`");
        assert_eq!(error("{\"password\": 4711}"), "password has to be a string");
        assert_eq!(error("{\"password\": null}"), "password has to be a string");
        assert_eq!(error("{\"password\": \"x\", \"info\": [\"secret\"]}"), "info has to be a string");
        let others = |others: &str| error(&format!("{{\"password\": \"x\", \"others\": {others}}}"));
        assert_eq!(others("\"secret\""), "others has to be an array");
        assert_eq!(others("[\"secret\"]"), "others[0] has to be an object");
        assert_eq!(others("[{\"info\": 4711}]"), "others[0].info has to be a string");
        assert_eq!(others("[{}]"), "others[0] missing field `info`");
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_last_of_a_name_counts() {
        let body: Example = parse(br#"{"password": "a", "info": null, "new": 1, "password": "b"}"#).unwrap();
        assert_eq!((body.password.as_str(), body.info, body.others.len()), ("b", None, 0));
    }
}
