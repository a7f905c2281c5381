use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{DeviceId, DeviceName, Password, Username};
use woosh_domain::use_cases::{self, LogInError};

use super::{Session, example_token};
use crate::api::errors::{PortFailed, StorageFull};
use crate::api::no_store::NoStore;
use crate::api::v1::devices::Device;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::{Integer, Nullable, Text};
use crate::services::Services;

/// Username and password of a user, and the device to use.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct LogInRequest {
    /// Username of the user, case-insensitive.
    username: String,
    password: Text<Password>,
    /// Identifier of an existing device of the user, on which to log in. If absent, or if the user has no device with
    /// this identifier, the server creates a device.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    device_id: Nullable<Integer<{ i64::MIN }>>,
    /// Display name of the new device, at most 128 bytes of UTF-8. Ignored if the login uses an existing device.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    device_name: Nullable<Text<DeviceName>>,
}

impl Example for LogInRequest {
    fn example() -> Self {
        Self {
            username: "alice".to_owned(),
            password: Text::example(),
            device_id: Nullable(None),
            device_name: Nullable(Some(Text::example())),
        }
    }
}

impl From<LogInRequest> for use_cases::Login {
    fn from(body: LogInRequest) -> Self {
        Self {
            username: Username::new(&body.username).ok(),
            password: body.password.0,
            device: body.device_id.0.map(|id| DeviceId::new(id.0)),
            device_name: body.device_name.into_domain().unwrap_or_default(),
        }
    }
}

/// The new session, with its user, device and token.
#[derive(Object)]
#[oai(example)]
pub(super) struct OpenedSession {
    /// Permanent unique identifier of the user.
    user_id: i64,
    /// Username, with upper and lower case as registered.
    username: String,
    device: Device,
    session: Session,
    /// Bearer token of the session. Returned only in this response.
    token: String,
}

impl From<use_cases::LoggedIn> for OpenedSession {
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

impl Example for OpenedSession {
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
pub(super) enum LogInReply {
    /// The session is created.
    #[oai(status = 201)]
    Created(NoStore<OpenedSession>),
    /// `invalid_request`: a field is missing, invalid or too long.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the body parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `wrong_credentials`: the username or the password is wrong.
    #[oai(status = 401)]
    Denied(Problem),
    /// `too_many_devices`: the user has 32 devices, the maximum. Delete a device, or pass the `device_id` of an
    /// existing device.
    #[oai(status = 409)]
    Conflict(Problem),
    /// `storage_full`: the server has too little disk space left to create a device. Log in on an existing device: pass
    /// its `device_id`.
    #[oai(status = 507)]
    #[expect(dead_code, reason = "returned as an error; declared for the OpenAPI document")]
    Full(Problem),
}

pub(super) async fn log_in(services: &Services, body: LogInRequest) -> poem::Result<LogInReply> {
    match services.log_in.execute(body.into()).await {
        Ok(login) => Ok(LogInReply::Created(NoStore(login.into()))),
        Err(error @ LogInError::Denied) => Ok(LogInReply::Denied(Problem::new(Code::WrongCredentials, error))),
        Err(error @ LogInError::TooManyDevices) => Ok(LogInReply::Conflict(Problem::new(Code::TooManyDevices, error))),
        Err(LogInError::StorageFull) => Err(StorageFull.into()),
        Err(LogInError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
