use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaParamIn, MetaSchemaRef};
use poem_openapi::types::Type as _;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

/// An optional header, as text. The values of a repeated header are joined with commas, and bytes that are not UTF-8
/// become replacement characters. So the operation gets the header in any case, and can refuse the request if the value
/// is invalid. A `validator` attribute on a parameter of this type only adds constraints to the OpenAPI document; the
/// operation itself has to check the value.
pub(super) struct HeaderText(pub(super) Option<String>);

impl<'a> ApiExtractor<'a> for HeaderText {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];

    type ParamType = String;
    type ParamRawType = String;

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Header)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(String::schema_ref())
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let values = request.headers().get_all(options.name).iter();
        let texts: Vec<_> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        Ok(Self((!texts.is_empty()).then(|| texts.join(", "))))
    }
}
