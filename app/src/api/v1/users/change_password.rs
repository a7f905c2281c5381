use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::Password;
use woosh_domain::use_cases::{ChangePasswordError, SessionCaller};

use crate::api::errors::PortFailed;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::Text;
use crate::services::Services;

/// The current and the new password.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct ChangePasswordRequest {
    old_password: Text<Password>,
    new_password: Text<Password>,
}

impl Example for ChangePasswordRequest {
    fn example() -> Self {
        Self { old_password: Text::example(), new_password: Text::example() }
    }
}

#[derive(ApiResponse)]
pub(super) enum ChangePasswordReply {
    /// The password is changed. All sessions of the caller have ended, except the session that made the request.
    #[oai(status = 204)]
    Changed,
    /// `invalid_request`: a field is missing, invalid or too long.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the body parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `wrong_password`: `old_password` is not the current password. Nothing was changed.
    #[oai(status = 403)]
    Forbidden(Problem),
}

pub(super) async fn change_password(
    services: &Services,
    caller: &SessionCaller,
    body: ChangePasswordRequest,
) -> poem::Result<ChangePasswordReply> {
    match services.change_password.execute(caller, &body.old_password.0, &body.new_password.0).await {
        Ok(()) => Ok(ChangePasswordReply::Changed),
        Err(error @ ChangePasswordError::WrongPassword) => {
            Ok(ChangePasswordReply::Forbidden(Problem::new(Code::WrongPassword, error)))
        }
        Err(ChangePasswordError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
