use poem::http::HeaderValue;
use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Deserialize;
use woosh_domain::model::{
    DeviceName, Info, Password, PasswordError, PrivateKey, PublicKey, TooLong, Username, UsernameError,
};
use woosh_domain::use_cases::{self, RegisterUserError};

use super::ClassicOwnUser;
use crate::api::classic::ClassicError;
use crate::api::errors::{PortFailed, StorageFull};
use crate::api::no_store::NoStore;
use crate::services::Services;

/// A user to register.
#[derive(Object, Deserialize)]
#[oai(example)]
pub(super) struct ClassicRegisterUserRequest {
    /// Username of the new user.
    #[oai(validator(pattern = "^[a-zA-Z0-9_-]{3,32}$"))]
    username: String,
    /// Password, at most 4,096 bytes of UTF-8. The client sends it in the header `x-user-token` of later requests.
    /// Therefore it must not contain control characters, and must not start or end with a space or tab.
    #[oai(validator(min_length = 1, max_length = 4096))]
    password: String,
    /// Public key with which others encrypt messages to the user. The server stores the key without interpreting it. At
    /// most 16 KiB of UTF-8, counted after JSON decoding.
    #[oai(validator(max_length = 16384))]
    public_key: String,
    /// Private key, encrypted by the client. At most 64 KiB of UTF-8, counted after JSON decoding.
    #[oai(validator(max_length = 65536))]
    private_key: String,
    /// Private data of the user, which the server stores without interpreting it. At most 64 KiB of UTF-8, counted
    /// after JSON decoding.
    #[oai(validator(max_length = 65536), skip_serializing_if_is_none)]
    #[serde(default)]
    info: Option<String>,
}

impl Example for ClassicRegisterUserRequest {
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
pub(super) enum ClassicRegisterUserReply {
    /// The user is registered.
    #[oai(status = 201)]
    Created(NoStore<ClassicOwnUser>),
    /// A field is missing, invalid or too long, or the username is taken.
    #[oai(status = 400)]
    BadRequest(Json<ClassicError>),
    /// The server has too little disk space left. The user was not registered.
    #[oai(status = 507)]
    #[expect(dead_code, reason = "returned as an error; declared for the OpenAPI document")]
    Full(Json<ClassicError>),
}

#[derive(Debug, thiserror::Error)]
enum InvalidField {
    #[error(transparent)]
    Username(#[from] UsernameError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(
        "password can't be sent in the header x-user-token: it contains a control character, or starts or ends with a space or tab"
    )]
    Unsendable,
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// Returns whether the password can be sent in a header. With any other password, a classic client could never
/// authenticate.
fn is_sendable(password: &str) -> bool {
    HeaderValue::from_bytes(password.as_bytes()).is_ok() && password.trim_matches([' ', '\t']) == password
}

impl ClassicRegisterUserRequest {
    fn try_into_domain(self) -> Result<use_cases::Registration, InvalidField> {
        if !is_sendable(&self.password) {
            return Err(InvalidField::Unsendable);
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

pub(super) async fn register(
    services: &Services,
    body: ClassicRegisterUserRequest,
) -> poem::Result<ClassicRegisterUserReply> {
    let registration = match body.try_into_domain() {
        Ok(registration) => registration,
        Err(error) => return Ok(ClassicRegisterUserReply::BadRequest(ClassicError::bad_request(error))),
    };
    match services.register_user.execute(registration).await {
        Ok(registered) => Ok(ClassicRegisterUserReply::Created(NoStore(registered.user.into()))),
        Err(error @ RegisterUserError::UsernameTaken) => {
            Ok(ClassicRegisterUserReply::BadRequest(ClassicError::bad_request(error)))
        }
        Err(RegisterUserError::StorageFull) => Err(StorageFull.into()),
        Err(RegisterUserError::Port(error)) => Err(PortFailed::from(error).into()),
    }
}
