use std::borrow::Cow;

use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::Text;

/// An optional field of a request. `null` means the same as an absent field.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(in crate::api::v1) struct Nullable<T>(pub(in crate::api::v1) Option<T>);

impl<T> Default for Nullable<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Nullable<Text<T>> {
    /// Returns the domain value, or `None` if the field was `null` or absent.
    pub(in crate::api::v1) fn into_domain(self) -> Option<T> {
        self.0.map(|text| text.0)
    }
}

impl<T: Type> Type for Nullable<T> {
    const IS_REQUIRED: bool = false;

    type RawValueType = T::RawValueType;
    type RawElementValueType = T::RawElementValueType;

    fn name() -> Cow<'static, str> {
        format!("nullable_{}", T::name()).into()
    }

    /// Returns the schema inline, because OpenAPI ignores `nullable` beside a `$ref`.
    fn schema_ref() -> MetaSchemaRef {
        let mut schema = Registry::new().create_fake_schema::<T>();
        schema.nullable = true;
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        self.0.as_ref().and_then(T::as_raw_value)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(self.0.iter().flat_map(T::raw_element_iter))
    }

    fn is_none(&self) -> bool {
        self.0.is_none()
    }
}

impl<T: ParseFromJSON> ParseFromJSON for Nullable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(Self(Option::parse_from_json(value).map_err(ParseError::propagate)?))
    }
}

impl<T: ToJSON> ToJSON for Nullable<T> {
    fn to_json(&self) -> Option<Value> {
        self.0.to_json()
    }
}

/// Deserializes a field for which `null` and absence have different meanings. The field also needs `#[serde(default)]`,
/// so that an absent field becomes `None`. Any value of a present field, even `null`, is deserialized as a `T`.
pub(in crate::api::v1) fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
