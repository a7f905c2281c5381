use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::Caller;

use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// What was deleted.
#[derive(Debug, Object)]
#[oai(rename = "ClassicDeletion", example)]
pub(super) struct Deletion {
    /// Always `success`.
    result: String,
    /// How many messages were deleted.
    deleted: u64,
}

impl Deletion {
    fn of(deleted: u64) -> Self {
        Self { result: "success".to_owned(), deleted }
    }
}

impl Example for Deletion {
    fn example() -> Self {
        Self::of(1)
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The messages are deleted.
    #[oai(status = 200)]
    Ok(Json<Deletion>),
    /// The parameter is missing or not an integer.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given by the framework; here for the document")]
    BadRequest(Json<ClassicError>),
}

pub(super) async fn delete(services: &Services, caller: &Caller, until: i64) -> poem::Result<Response> {
    let deleted = services.delete_messages.execute(caller, until).await.map_err(PortFailed::from)?;
    Ok(Response::Ok(Json(Deletion::of(deleted))))
}
