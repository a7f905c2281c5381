use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::Password;
use woosh_domain::use_cases::{ChangePasswordError, SessionCaller};

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::Text;
use crate::services::Services;

/// The password as it is and as it shall be.
#[derive(Object, Deserialize)]
#[oai(rename = "PasswordChange", example)]
pub(super) struct Passwords {
    old_password: Text<Password>,
    new_password: Text<Password>,
}

impl Example for Passwords {
    fn example() -> Self {
        Self { old_password: Text::example(), new_password: Text::example() }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The password is changed, and all other sessions have ended.
    #[oai(status = 204)]
    Changed,
    /// `invalid_request`: a field is missing, wrong or too long.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given where the body is read; here for the document")]
    BadRequest(Problem),
    /// `wrong_password`: `old_password` is wrong.
    #[oai(status = 403)]
    Forbidden(Problem),
}

pub(super) async fn change_password(
    services: &Services,
    asking: &SessionCaller,
    body: Passwords,
) -> poem::Result<Response> {
    match services.change_password.execute(asking, &body.old_password.0, &body.new_password.0).await {
        Ok(()) => Ok(Response::Changed),
        Err(error @ ChangePasswordError::WrongPassword) => {
            Ok(Response::Forbidden(Problem::new(Code::WrongPassword, error)))
        }
        Err(ChangePasswordError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
