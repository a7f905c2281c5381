use poem::http::header;
use poem::{IntoResponse, Response};
use poem_openapi::payload::{Json, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{ToJSON, Type};

/// A JSON response body with secrets, such as a token or the vault. No cache may store it.
pub(super) struct NoStore<T>(pub(super) T);

impl<T: Type> Payload for NoStore<T> {
    const CONTENT_TYPE: &'static str = Json::<T>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ToJSON> IntoResponse for NoStore<T> {
    fn into_response(self) -> Response {
        Json(self.0).with_header(header::CACHE_CONTROL, "no-store").into_response()
    }
}
