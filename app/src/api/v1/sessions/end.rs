use poem_openapi::ApiResponse;
use woosh_domain::model::SessionId;
use woosh_domain::use_cases::{Caller, SessionCaller};

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum EndSessionReply {
    /// The session has ended.
    #[oai(status = 204)]
    Ended,
    /// `session_not_found`: the caller has no session with this identifier. The session may have ended already.
    #[oai(status = 404)]
    NotFound(Problem),
}

#[derive(ApiResponse)]
pub(super) enum EndCurrentSessionReply {
    /// The session has ended.
    #[oai(status = 204)]
    Ended,
}

pub(super) async fn end(services: &Services, caller: &Caller, session: SessionId) -> poem::Result<EndSessionReply> {
    match services.end_session.execute(caller, session).await.map_err(PortFailed::from)? {
        true => Ok(EndSessionReply::Ended),
        false => Ok(EndSessionReply::NotFound(Problem::new(Code::SessionNotFound, "you have no session with this id"))),
    }
}

pub(super) async fn end_current(services: &Services, caller: &SessionCaller) -> poem::Result<EndCurrentSessionReply> {
    // If the session no longer exists, another request has ended it, so the outcome is the same.
    services.end_session.execute(&caller.caller, caller.session).await.map_err(PortFailed::from)?;
    Ok(EndCurrentSessionReply::Ended)
}
