use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use woosh_domain::model::Username;

use super::User;
use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum FindUserReply {
    /// The user with the requested username: identifier, username and public key.
    #[oai(status = 200)]
    Ok(Json<User>),
    /// `user_not_found`: no user has this username.
    #[oai(status = 404)]
    NotFound(Problem),
}

pub(super) async fn find(services: &Services, username: &str) -> poem::Result<FindUserReply> {
    let found = match Username::new(username) {
        Ok(username) => services.find_user.execute(&username).await.map_err(PortFailed::from)?,
        // An invalid username belongs to no user, so the response is the same 404.
        Err(_) => None,
    };
    Ok(match found {
        Some(user) => FindUserReply::Ok(Json(user.into())),
        None => FindUserReply::NotFound(Problem::new(Code::UserNotFound, "no user has this username")),
    })
}
