use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::value;
use crate::api::field_error::Reason;
use crate::api::query::FromParameter;

/// An integer from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api::v1) struct Integer<const MIN: i64, const MAX: i64 = { i64::MAX }>(pub(in crate::api::v1) i64);

value! {
    [const MIN: i64, const MAX: i64] Integer<MIN, MAX>,
    "integer",
    MetaSchema {
        minimum: (MIN != i64::MIN).then_some(MIN as f64),
        maximum: (MAX != i64::MAX).then_some(MAX as f64),
        ..MetaSchema::new_with_format("integer", "int64")
    }
}

impl<const MIN: i64, const MAX: i64> Integer<MIN, MAX> {
    fn new(value: Option<i64>) -> Result<Self, Reason> {
        match value {
            Some(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ if MIN == i64::MIN => Err(Reason::wrong_type("an integer")),
            _ if MAX == i64::MAX => Err(Reason::WrongType { expected: format!("an integer of at least {MIN}").into() }),
            _ => Err(Reason::WrongType { expected: format!("an integer from {MIN} to {MAX}").into() }),
        }
    }

    /// Converts the value to an unsigned type. Call this only if `MIN` is at least 0: a negative value would become 0.
    pub(in crate::api::v1) fn unsigned<T: TryFrom<i64> + Default>(self) -> T {
        T::try_from(self.0).unwrap_or_default()
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Value::deserialize(deserializer)?.as_i64()).map_err(Reason::into_serde)
    }
}

impl<const MIN: i64, const MAX: i64> FromParameter for Integer<MIN, MAX> {
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason> {
        Self::new(text.ok_or(Reason::Missing)?.parse().ok())
    }
}

/// Parses path parameters. No client sees the text of the error, because the response to an invalid path parameter is
/// 404.
impl<const MIN: i64, const MAX: i64> ParseFromParameter for Integer<MIN, MAX> {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        Self::new(value.parse().ok()).map_err(ParseError::custom)
    }
}

impl<const MIN: i64, const MAX: i64> ParseFromJSON for Integer<MIN, MAX> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Self::new(value.as_ref().and_then(Value::as_i64)).map_err(ParseError::custom)
    }
}

impl<const MIN: i64, const MAX: i64> ToJSON for Integer<MIN, MAX> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::json::from_value;

    #[test]
    fn values_out_of_range_are_refused_and_the_error_names_the_range() {
        let parse = |text: &str| from_value::<Integer<1, 1000>>(serde_json::from_str(text).unwrap());
        let limit = |text: &str| parse(text).map_err(|error| error.to_string());
        assert_eq!(limit("1000").map(|limit| limit.0), Ok(1000));
        for text in ["0", "1001", "-1", "1.5", "1e3", "99999999999999999999", "\"7\"", "null", "[1]"] {
            assert_eq!(limit(text), Err("has to be an integer from 1 to 1000".to_owned()), "{text}");
        }
        assert_eq!(
            Integer::<0>::new(Some(-1)).map_err(|reason| reason.to_string()),
            Err("has to be an integer of at least 0".to_owned())
        );
    }
}
