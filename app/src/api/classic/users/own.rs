use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use woosh_domain::use_cases::Caller;

use super::OwnUser;
use crate::api::classic::auth::Denied;
use crate::api::errors::PortFailed;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The own user.
    #[oai(status = 200)]
    Ok(Json<OwnUser>),
}

pub(super) async fn own(services: &Services, caller: &Caller) -> poem::Result<Response> {
    let user = services.find_user.execute(&caller.username).await.map_err(PortFailed::from)?;
    // Deleted since it was authenticated.
    let user = user.ok_or(Denied)?;
    Ok(Response::Ok(Json(user.into())))
}
