use poem_openapi::ApiResponse;
use woosh_domain::use_cases::Caller;

use super::ClassicOwnUser;
use crate::api::classic::auth::Denied;
use crate::api::errors::PortFailed;
use crate::api::no_store::NoStore;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum ClassicGetOwnUserReply {
    /// The caller's user.
    #[oai(status = 200)]
    Ok(NoStore<ClassicOwnUser>),
}

pub(super) async fn own(services: &Services, caller: &Caller) -> poem::Result<ClassicGetOwnUserReply> {
    let user = services.find_user.execute(&caller.username).await.map_err(PortFailed::from)?;
    // The user may be deleted between authentication and this read.
    let user = user.ok_or(Denied)?;
    Ok(ClassicGetOwnUserReply::Ok(NoStore(user.into())))
}
