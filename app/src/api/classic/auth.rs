use poem::error::ResponseError;
use poem::http::{HeaderValue, StatusCode};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use woosh_domain::model::{Password, Username};
use woosh_domain::use_cases::{AuthenticateError, Caller};

use crate::api::errors::PortFailed;
use crate::api::limits::set_account;
use crate::services::Services;

/// The header that carries the username.
const NAME_HEADER: &str = "x-user-name";
/// The header that carries the password.
const TOKEN_HEADER: &str = "x-user-token";
/// The names of the security schemes in the OpenAPI document.
pub(in crate::api) const SCHEMES: [&str; 2] = ["ClassicName", "ClassicToken"];

/// The caller, authenticated by the headers `x-user-name` and `x-user-token`.
pub(super) struct ClassicCaller(pub(super) Caller);

/// A header is missing, or the username or the password is wrong. The error message is the same in all three cases,
/// because promise D9 of the delivery contract forbids errors to reveal whether the username or the password was wrong.
#[derive(Debug, thiserror::Error)]
#[error("x-user-name and x-user-token are missing or wrong")]
pub(super) struct Denied;

impl ResponseError for Denied {
    fn status(&self) -> StatusCode {
        StatusCode::UNAUTHORIZED
    }
}

impl<'a> ApiExtractor<'a> for ClassicCaller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = |header, description| MetaSecurityScheme {
            ty: "apiKey",
            description: Some(description),
            name: Some(header),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        let [name, token] = SCHEMES;
        registry.create_security_scheme(name, scheme(NAME_HEADER, "Username of the caller."));
        registry.create_security_scheme(token, scheme(TOKEN_HEADER, "Password of the caller."));
    }

    fn security_schemes() -> Vec<&'static str> {
        SCHEMES.to_vec()
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let services = Services::from_request(request)?;
        let header = |name| request.headers().get(name).map(decode);
        let (Some(name), Some(token)) = (header(NAME_HEADER), header(TOKEN_HEADER)) else {
            return Err(Denied.into());
        };
        let Ok(password) = Password::new(token) else {
            return Err(Denied.into());
        };
        let username = Username::new(&name).ok();
        match services.authenticate.execute(username.as_ref(), &password).await {
            Ok(caller) => {
                set_account(request, caller.user_id);
                Ok(Self(caller))
            }
            Err(AuthenticateError::Denied) => Err(Denied.into()),
            Err(AuthenticateError::Port(error)) => Err(PortFailed::from(error).into()),
        }
    }
}

/// Decodes a header as UTF-8. If the header is not valid UTF-8, decodes it as ISO 8859-1, which some classic clients
/// send.
fn decode(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_in_both_encodings() {
        for bytes in [b"caf\xc3\xa9".as_slice(), b"caf\xe9"] {
            assert_eq!(decode(&HeaderValue::from_bytes(bytes).unwrap()), "café");
        }
    }
}
