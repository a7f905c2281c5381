use poem_openapi::ApiResponse;
use woosh_domain::use_cases::Caller;

use crate::api::errors::PortFailed;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum DeleteOwnUserReply {
    /// The user is deleted.
    #[oai(status = 204)]
    Deleted,
}

pub(super) async fn delete(services: &Services, caller: &Caller) -> poem::Result<DeleteOwnUserReply> {
    services.delete_user.execute(caller).await.map_err(PortFailed::from)?;
    Ok(DeleteOwnUserReply::Deleted)
}
