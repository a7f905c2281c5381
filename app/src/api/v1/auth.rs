use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use woosh_domain::model::Token;
use woosh_domain::use_cases::SessionCaller;

use super::problem::Problem;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// What the token is called in the document.
const SCHEME: &str = "Token";

/// Whoever the token of a request proves to be.
pub(super) struct TokenCaller(pub(super) SessionCaller);

impl<'a> ApiExtractor<'a> for TokenCaller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("The `token` that registering or logging in gave."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        _: &mut RequestBody,
        _: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let services = Services::of(request)?;
        let token = request.header(header::AUTHORIZATION).and_then(bearer).ok_or_else(Problem::unauthenticated)?;
        let caller = services.check_token.execute(&token).await.map_err(PortFailed::from)?;
        Ok(Self(caller.ok_or_else(Problem::unauthenticated)?))
    }
}

/// The token of `Bearer <token>`; the scheme in any spelling, as schemes are.
fn bearer(credentials: &str) -> Option<Token> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token.trim_matches(' ').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_the_bearer_scheme_alone() {
        for credentials in ["Bearer 0a1b", "bearer 0a1b", "BEARER  0a1b "] {
            assert_eq!(bearer(credentials).map(|token| token.reveal().to_owned()).as_deref(), Some("0a1b"));
        }
        for credentials in ["", "Bearer", "Basic 0a1b", "0a1b"] {
            assert!(bearer(credentials).is_none(), "{credentials}");
        }
    }
}
