use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::use_cases::SessionCaller;

use super::Session;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// The sessions of a user.
#[derive(Object)]
#[oai(example)]
pub(super) struct Sessions {
    /// The sessions, oldest first.
    sessions: Vec<Session>,
}

impl Example for Sessions {
    fn example() -> Self {
        Self { sessions: vec![Session::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The sessions.
    #[oai(status = 200)]
    Ok(Json<Sessions>),
}

pub(super) async fn list(services: &Services, asking: &SessionCaller) -> poem::Result<Response> {
    let sessions = services.list_sessions.execute(&asking.caller).await.map_err(PortFailed::from)?;
    let sessions = sessions.into_iter().map(|session| Session::new(session, asking.session)).collect();
    Ok(Response::Ok(Json(Sessions { sessions })))
}
