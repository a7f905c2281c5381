use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use woosh_domain::model::Username;

use super::ClassicUser;
use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum ClassicFindUserReply {
    /// The user with the requested username: identifier, username and public key.
    #[oai(status = 200)]
    Ok(Json<ClassicUser>),
    /// The parameter `username` is missing.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the parameter parser; declared for the OpenAPI document")]
    BadRequest(Json<ClassicError>),
    /// No user has this username.
    #[oai(status = 404)]
    NotFound(Json<ClassicError>),
}

pub(super) async fn find(services: &Services, username: &str) -> poem::Result<ClassicFindUserReply> {
    let found = match Username::new(username) {
        Ok(username) => services.find_user.execute(&username).await.map_err(PortFailed::from)?,
        // An invalid username belongs to no user, so the response is the same 404.
        Err(_) => None,
    };
    Ok(match found {
        Some(user) => ClassicFindUserReply::Ok(Json(user.into())),
        None => ClassicFindUserReply::NotFound(ClassicError::not_found("user does not exist")),
    })
}
