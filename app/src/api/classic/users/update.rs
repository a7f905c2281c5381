use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::Info;
use woosh_domain::ports::UserChange;
use woosh_domain::use_cases::{Caller, UpdateUserError};

use super::OwnUser;
use crate::api::body::optional_text;
use crate::api::classic::ClassicError;
use crate::api::classic::auth::Denied;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// What to change; at least one field.
#[derive(Object, Deserialize)]
#[oai(rename = "ClassicUpdate", example)]
pub(super) struct Update {
    /// Whatever the client keeps for itself: at most 64 KiB.
    #[oai(validator(max_length = 65536), skip_serializing_if_is_none)]
    #[serde(default, deserialize_with = "optional_text")]
    info: Option<String>,
}

impl Example for Update {
    fn example() -> Self {
        Self { info: Some("likes tea".to_owned()) }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The own user as it is now.
    #[oai(status = 200)]
    Ok(Json<OwnUser>),
    /// No field was given, or one is wrong or too long.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
}

pub(super) async fn update(services: &Services, caller: &Caller, body: Update) -> poem::Result<Response> {
    let Some(info) = body.info else {
        return Ok(Response::BadRequest(ClassicError::bad_request("no field to change was given: give info")));
    };
    let info = match Info::new(info) {
        Ok(info) => info,
        Err(error) => return Ok(Response::BadRequest(ClassicError::bad_request(error))),
    };
    let change = UserChange { info: Some(info), ..UserChange::default() };
    match services.update_user.execute(caller, change, None).await {
        Ok(user) => Ok(Response::Ok(Json(user.into()))),
        // No version was expected, so there is no other.
        Err(UpdateUserError::NotFound | UpdateUserError::VersionMismatch) => Err(Denied.into()),
        Err(UpdateUserError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
