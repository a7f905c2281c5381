use poem_openapi::ApiResponse;
use woosh_domain::use_cases::Caller;

use super::OwnUser;
use super::update::etag;
use crate::api::errors::PortFailed;
use crate::api::no_store::NoStore;
use crate::api::v1::problem::Problem;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum GetOwnUserReply {
    /// The caller's user.
    #[oai(status = 200)]
    Ok(
        NoStore<OwnUser>,
        /// Version of the user, to pass as `If-Match` to `updateOwnUser`.
        #[oai(header = "ETag")]
        String,
    ),
}

pub(super) async fn own(services: &Services, caller: &Caller) -> poem::Result<GetOwnUserReply> {
    let user = services.find_user.execute(&caller.username).await.map_err(PortFailed::from)?;
    // The user may be deleted between the check of the token and this read.
    let user = user.ok_or_else(Problem::unauthenticated)?;
    let version = etag(user.version);
    Ok(GetOwnUserReply::Ok(NoStore(user.into()), version))
}
