use poem::{IntoResponse, Response};
use poem_openapi::payload::{self, Payload};
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde::Serialize;

/// A JSON response body, serialized directly to text. [`payload::Json`] first builds a tree of JSON values, which takes
/// more CPU time than reading a page of a mailbox from the database.
pub(super) struct JsonResponse<T>(pub(super) T);

impl<T: Type> Payload for JsonResponse<T> {
    const CONTENT_TYPE: &'static str = payload::Json::<T>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Serialize + Send> IntoResponse for JsonResponse<T> {
    fn into_response(self) -> Response {
        poem::web::Json(self.0).into_response()
    }
}
