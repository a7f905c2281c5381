use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::SessionCaller;

use super::Session;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// All sessions of a user.
#[derive(Object)]
#[oai(example)]
pub(super) struct SessionList {
    /// The sessions, oldest first.
    sessions: Vec<Session>,
}

impl Example for SessionList {
    fn example() -> Self {
        Self { sessions: vec![Session::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum ListSessionsReply {
    /// The caller's sessions.
    #[oai(status = 200)]
    Ok(Json<SessionList>),
}

pub(super) async fn list(services: &Services, caller: &SessionCaller) -> poem::Result<ListSessionsReply> {
    let sessions = services.list_sessions.execute(&caller.caller).await.map_err(PortFailed::from)?;
    let sessions = sessions.into_iter().map(|session| Session::new(session, caller.session)).collect();
    Ok(ListSessionsReply::Ok(Json(SessionList { sessions })))
}
