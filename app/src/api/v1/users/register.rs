use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{DeviceName, Info, Password, PrivateKey, PublicKey, Username};
use woosh_domain::ports::PortError;
use woosh_domain::use_cases::{self, RegisterUserError};

use super::OwnUser;
use crate::api::errors::{PortFailed, StorageFull};
use crate::api::no_store::NoStore;
use crate::api::v1::devices::Device;
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::sessions::{Session, example_token};
use crate::api::v1::values::{Nullable, Text};
use crate::services::Services;

/// A user to register.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct RegisterUserRequest {
    username: Text<Username>,
    password: Text<Password>,
    public_key: Text<PublicKey>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    private_key: Nullable<Text<PrivateKey>>,
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    info: Nullable<Text<Info>>,
    /// Display name of the first device, at most 128 bytes of UTF-8.
    #[oai(skip_serializing_if_is_none)]
    #[serde(default)]
    device_name: Nullable<Text<DeviceName>>,
}

impl Example for RegisterUserRequest {
    fn example() -> Self {
        Self {
            username: Text::example(),
            password: Text::example(),
            public_key: Text::example(),
            private_key: Nullable(Some(Text::example())),
            info: Nullable(Some(Text::example())),
            device_name: Nullable(Some(Text::example())),
        }
    }
}

impl From<RegisterUserRequest> for use_cases::Registration {
    fn from(body: RegisterUserRequest) -> Self {
        Self {
            username: body.username.0,
            password: body.password.0,
            public_key: body.public_key.0,
            private_key: body.private_key.into_domain(),
            info: body.info.into_domain().unwrap_or_default(),
            device_name: body.device_name.into_domain().unwrap_or_default(),
            log_in: true,
        }
    }
}

/// The new user, with its first device and session.
#[derive(Object)]
#[oai(example)]
pub(super) struct RegisteredUser {
    user: OwnUser,
    device: Device,
    session: Session,
    /// Bearer token of the session. Returned only in this response.
    token: String,
}

impl Example for RegisteredUser {
    fn example() -> Self {
        Self {
            user: OwnUser::example(),
            device: Device::example(),
            session: Session::example(),
            token: example_token(),
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum RegisterUserReply {
    /// The user is registered, and has a session on its first device.
    #[oai(status = 201)]
    Created(
        NoStore<RegisteredUser>,
        /// Path of the new user's public profile.
        #[oai(header = "Location")]
        String,
    ),
    /// `invalid_request`: a field is missing, invalid or too long.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the body parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `username_taken`: another user has this username, or a deleted user had it. Choose another username.
    #[oai(status = 409)]
    Conflict(Problem),
    /// `storage_full`: the server has too little disk space left. The user was not registered.
    #[oai(status = 507)]
    #[expect(dead_code, reason = "returned as an error; declared for the OpenAPI document")]
    Full(Problem),
}

pub(super) async fn register(services: &Services, body: RegisterUserRequest) -> poem::Result<RegisterUserReply> {
    let registered = match services.register_user.execute(body.into()).await {
        Ok(registered) => registered,
        Err(error @ RegisterUserError::UsernameTaken) => {
            return Ok(RegisterUserReply::Conflict(Problem::new(Code::UsernameTaken, error)));
        }
        Err(RegisterUserError::StorageFull) => return Err(StorageFull.into()),
        Err(RegisterUserError::Port(error)) => return Err(PortFailed::from(error).into()),
    };
    let no_session = || PortFailed::from(PortError::fault("registration returned no session"));
    let (session, token) = registered.login.ok_or_else(no_session)?;
    let location = format!("/v1/users/{}", registered.user.username);
    let body = RegisteredUser {
        user: registered.user.into(),
        device: Device::new(registered.device, session.device),
        session: Session::current(session),
        token: token.reveal().to_owned(),
    };
    Ok(RegisterUserReply::Created(NoStore(body), location))
}
