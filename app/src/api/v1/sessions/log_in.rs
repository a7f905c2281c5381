use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{DeviceId, DeviceName, Password, Username};
use woosh_domain::use_cases::{self, LogInError};

use super::{Session, example_token};
use crate::api::body::text;
use crate::api::errors::PortFailed;
use crate::api::v1::devices::Device;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Integer, Nullable, Text};
use crate::services::Services;

/// What somebody logs in with.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct Login {
    /// The name, ignoring case.
    #[serde(deserialize_with = "text")]
    username: String,
    password: Text<Password>,
    /// The device that this was before.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    device_id: Nullable<Integer<{ i64::MIN }>>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    device_name: Nullable<Text<DeviceName>>,
}

impl Example for Login {
    fn example() -> Self {
        Self {
            username: "alice".to_owned(),
            password: Text::example(),
            device_id: Nullable(None),
            device_name: Nullable(Some(Text::example())),
        }
    }
}

impl From<Login> for use_cases::Login {
    fn from(body: Login) -> Self {
        Self {
            username: Username::new(&body.username).ok(),
            password: body.password.0,
            device: body.device_id.0.map(|id| DeviceId::new(id.0)),
            device_name: body.device_name.into_domain().unwrap_or_default(),
        }
    }
}

/// An open session.
#[derive(Object)]
#[oai(example)]
pub(super) struct LoggedIn {
    /// Names the user for good.
    user_id: i64,
    /// As it was registered.
    username: String,
    device: Device,
    session: Session,
    /// What the session proves itself with, as `Authorization: Bearer`. It is told this once.
    token: String,
}

impl From<use_cases::LoggedIn> for LoggedIn {
    fn from(login: use_cases::LoggedIn) -> Self {
        Self {
            user_id: login.user_id.get(),
            username: login.username.to_string(),
            device: Device::new(login.device, login.session.device),
            session: Session::current(login.session),
            token: login.token.reveal().to_owned(),
        }
    }
}

impl Example for LoggedIn {
    fn example() -> Self {
        Self {
            user_id: 1,
            username: "alice".to_owned(),
            device: Device::example(),
            session: Session::example(),
            token: example_token(),
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The session is open.
    #[oai(status = 201)]
    Created(Json<LoggedIn>),
    /// `invalid_request`: a field is missing, wrong or too long.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given where the body is read; here for the document")]
    BadRequest(Problem),
    /// `wrong_credentials`: the username or the password is wrong; it is not told which.
    #[oai(status = 401)]
    Denied(Problem),
    /// `too_many_devices`: the user has as many devices as it may have.
    #[oai(status = 409)]
    Conflict(Problem),
}

pub(super) async fn log_in(services: &Services, body: Login) -> poem::Result<Response> {
    match services.log_in.execute(body.into()).await {
        Ok(login) => Ok(Response::Created(Json(login.into()))),
        Err(error @ LogInError::Denied) => Ok(Response::Denied(Problem::new(Code::WrongCredentials, error))),
        Err(error @ LogInError::TooManyDevices) => Ok(Response::Conflict(Problem::new(Code::TooManyDevices, error))),
        Err(LogInError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
