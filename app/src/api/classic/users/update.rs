use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::Info;
use woosh_domain::ports::UserChange;
use woosh_domain::use_cases::{Caller, UpdateUserError};

use super::ClassicOwnUser;
use crate::api::classic::ClassicError;
use crate::api::classic::auth::Denied;
use crate::api::errors::{PortFailed, StorageFull};
use crate::api::no_store::NoStore;
use crate::services::Services;

/// New value of the user's `info`, the only field that can be changed.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct ClassicUpdateOwnUserRequest {
    /// Private data of the user, which the server stores without interpreting it. At most 64 KiB of UTF-8, counted
    /// after JSON decoding.
    #[oai(validator(max_length = 65536), skip_serializing_if_is_none)]
    #[serde(default)]
    info: Option<String>,
}

impl Example for ClassicUpdateOwnUserRequest {
    fn example() -> Self {
        Self { info: Some("likes tea".to_owned()) }
    }
}

#[derive(ApiResponse)]
pub(super) enum ClassicUpdateOwnUserReply {
    /// The updated user.
    #[oai(status = 200)]
    Ok(NoStore<ClassicOwnUser>),
    /// `info` is missing, invalid or too long.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
    /// The server has too little disk space left. Nothing was updated.
    #[oai(status = 507)]
    #[expect(dead_code, reason = "returned as an error; declared for the OpenAPI document")]
    Full(Json<ClassicError>),
}

pub(super) async fn update(
    services: &Services,
    caller: &Caller,
    body: ClassicUpdateOwnUserRequest,
) -> poem::Result<ClassicUpdateOwnUserReply> {
    let Some(info) = body.info else {
        return Ok(ClassicUpdateOwnUserReply::BadRequest(ClassicError::bad_request(
            "info is missing: it is the only field that can be changed",
        )));
    };
    let info = match Info::new(info) {
        Ok(info) => info,
        Err(error) => return Ok(ClassicUpdateOwnUserReply::BadRequest(ClassicError::bad_request(error))),
    };
    let change = UserChange { info: Some(info), ..UserChange::default() };
    match services.update_user.execute(caller, change, None).await {
        Ok(user) => Ok(ClassicUpdateOwnUserReply::Ok(NoStore(user.into()))),
        // A version mismatch can't occur, because the call passes no expected version. `NotFound` means that the user
        // was deleted after authentication.
        Err(UpdateUserError::NotFound | UpdateUserError::VersionMismatch) => Err(Denied.into()),
        Err(UpdateUserError::StorageFull) => Err(StorageFull.into()),
        Err(UpdateUserError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
