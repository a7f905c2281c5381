use poem_openapi::ApiResponse;
use poem_openapi::payload::Json;
use woosh_domain::model::Username;

use super::PublicUser;
use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The user.
    #[oai(status = 200)]
    Ok(Json<PublicUser>),
    /// The parameter is missing.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given by the framework; here for the document")]
    BadRequest(Json<ClassicError>),
    /// Nobody has this name.
    #[oai(status = 404)]
    NotFound(Json<ClassicError>),
}

pub(super) async fn find(services: &Services, username: &str) -> poem::Result<Response> {
    let found = match Username::new(username) {
        Ok(username) => services.find_user.execute(&username).await.map_err(PortFailed::from)?,
        // Nobody can have such a name.
        Err(_) => None,
    };
    Ok(match found {
        Some(user) => Response::Ok(Json(user.into())),
        None => Response::NotFound(ClassicError::not_found("user does not exist")),
    })
}
