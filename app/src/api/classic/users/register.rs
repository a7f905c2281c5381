use poem::http::HeaderValue;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{
    DeviceName, Info, Password, PasswordError, PrivateKey, PublicKey, TooLong, Username, UsernameError,
};
use woosh_domain::use_cases::{self, RegisterUserError};

use super::OwnUser;
use crate::api::body::{optional_text, text};
use crate::api::classic::ClassicError;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// What a user registers with.
#[derive(Object, Deserialize)]
#[oai(rename = "ClassicRegistration", example)]
pub(super) struct Registration {
    /// The name that it wants.
    #[oai(validator(pattern = "^[a-zA-Z0-9_-]{3,32}$"))]
    #[serde(deserialize_with = "text")]
    username: String,
    /// What it will send as `x-user-token`: at most 4,096 bytes.
    #[oai(validator(min_length = 1, max_length = 4096))]
    #[serde(deserialize_with = "text")]
    password: String,
    /// What others encrypt for it with: at most 16 KiB.
    #[oai(validator(max_length = 16384))]
    #[serde(deserialize_with = "text")]
    public_key: String,
    /// The private key as the client encrypted it: at most 64 KiB.
    #[oai(validator(max_length = 65536))]
    #[serde(deserialize_with = "text")]
    private_key: String,
    /// Whatever the client keeps for itself: at most 64 KiB.
    #[oai(validator(max_length = 65536), skip_serializing_if_is_none)]
    #[serde(default, deserialize_with = "optional_text")]
    info: Option<String>,
}

impl Example for Registration {
    fn example() -> Self {
        Self {
            username: "alice".to_owned(),
            password: "a key derived from her password".to_owned(),
            public_key: "alice's public key".to_owned(),
            private_key: "alice's private key, encrypted".to_owned(),
            info: None,
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The user is registered.
    #[oai(status = 201)]
    Created(Json<OwnUser>),
    /// A field is missing, wrong or too long, or the username is taken.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
}

#[derive(Debug, thiserror::Error)]
enum BadField {
    #[error(transparent)]
    Username(#[from] UsernameError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("password can't be sent as x-user-token: it has a control character, or a space at an end")]
    Unsendable,
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Whether a header can carry a password, so that nobody registers and can never log in.
fn is_sendable(password: &str) -> bool {
    HeaderValue::from_bytes(password.as_bytes()).is_ok() && password.trim_matches([' ', '\t']) == password
}

impl Registration {
    fn try_into_domain(self) -> Result<use_cases::Registration, BadField> {
        if !is_sendable(&self.password) {
            return Err(BadField::Unsendable);
        }
        Ok(use_cases::Registration {
            username: Username::new(&self.username)?,
            password: Password::new(self.password)?,
            public_key: PublicKey::new(self.public_key)?,
            private_key: Some(PrivateKey::new(self.private_key)?),
            info: Info::new(self.info.unwrap_or_default())?,
            device_name: DeviceName::default(),
            log_in: false,
        })
    }
}

pub(super) async fn register(services: &Services, body: Registration) -> poem::Result<Response> {
    let registration = match body.try_into_domain() {
        Ok(registration) => registration,
        Err(error) => return Ok(Response::BadRequest(ClassicError::bad_request(error))),
    };
    match services.register_user.execute(registration).await {
        Ok(registered) => Ok(Response::Created(Json(registered.user.into()))),
        Err(error @ RegisterUserError::UsernameTaken) => Ok(Response::BadRequest(ClassicError::bad_request(error))),
        Err(RegisterUserError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
