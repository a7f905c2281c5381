use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use super::field_error::{FieldError, Location, Reason};

/// A type that a query parameter can be parsed into.
pub(super) trait FromParameter: Type + Sized {
    /// Parses the parameter. `text` is `None` if the request lacks the parameter.
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason>;
}

impl FromParameter for String {
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason> {
        text.map(str::to_owned).ok_or(Reason::Missing)
    }
}

impl FromParameter for i64 {
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason> {
        let parsed = text.ok_or(Reason::Missing)?.parse();
        parsed.map_err(|error: std::num::ParseIntError| Reason::Invalid(format!("is not a valid integer: {error}")))
    }
}

impl<T: FromParameter> FromParameter for Option<T> {
    fn from_parameter(text: Option<&str>) -> Result<Self, Reason> {
        text.map(|text| T::from_parameter(Some(text))).transpose()
    }
}

/// A query parameter. Replaces the type of poem-openapi, whose error messages expose the names of Rust types.
pub(super) struct Query<T>(pub(super) T);

impl<'a, T: FromParameter> ApiExtractor<'a> for Query<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = T::IS_REQUIRED;

    type ParamType = T;
    type ParamRawType = T::RawValueType;

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(T::schema_ref())
    }

    fn param_raw_type(&self) -> Option<&Self::ParamRawType> {
        self.0.as_raw_value()
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let parameters: Vec<(String, String)> = request.params().unwrap_or_default();
        // If a parameter is repeated, its first value counts.
        let text = parameters.iter().find(|(name, _)| name == options.name).map(|(_, text)| text.as_str());
        if let (None, Some(default)) = (text, options.default_value) {
            return Ok(Self(default()));
        }
        let error = |reason| FieldError { location: Location::Parameter(options.name), reason };
        Ok(Self(T::from_parameter(text).map_err(error)?))
    }
}
