use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use woosh_domain::use_cases::Caller;

use super::OwnUser;
use super::update::etag;
use crate::api::errors::PortFailed;
use crate::api::v1::problem::Problem;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The own user.
    #[oai(status = 200)]
    Ok(
        Json<OwnUser>,
        /// The version of the user.
        #[oai(header = "ETag")]
        String,
    ),
}

pub(super) async fn own(services: &Services, caller: &Caller) -> poem::Result<Response> {
    let user = services.find_user.execute(&caller.username).await.map_err(PortFailed::from)?;
    // Deleted since it was authenticated.
    let user = user.ok_or_else(Problem::unauthenticated)?;
    let version = etag(user.version);
    Ok(Response::Ok(Json(user.into()), version))
}
