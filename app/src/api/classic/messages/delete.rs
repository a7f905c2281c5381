use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::Caller;

use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// Result of deleting messages.
#[derive(Debug, Object)]
#[oai(example)]
pub(super) struct ClassicDeletion {
    /// Always `success`.
    result: String,
    /// Number of deleted messages.
    deleted: u64,
}

impl ClassicDeletion {
    fn new(deleted: u64) -> Self {
        Self { result: "success".to_owned(), deleted }
    }
}

impl Example for ClassicDeletion {
    fn example() -> Self {
        Self::new(1)
    }
}

#[derive(ApiResponse)]
pub(super) enum ClassicDeleteMessagesReply {
    /// The messages sent before `until` are deleted.
    #[oai(status = 200)]
    Ok(Json<ClassicDeletion>),
    /// The parameter `until` is missing or not an integer.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the parameter parser; declared for the OpenAPI document")]
    BadRequest(Json<ClassicError>),
}

pub(super) async fn delete(
    services: &Services,
    caller: &Caller,
    until: i64,
) -> poem::Result<ClassicDeleteMessagesReply> {
    let deleted = services.delete_messages.execute(caller, until).await.map_err(PortFailed::from)?;
    Ok(ClassicDeleteMessagesReply::Ok(Json(ClassicDeletion::new(deleted))))
}
