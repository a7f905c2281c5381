use poem::http::header;
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use woosh_domain::model::Token;
use woosh_domain::use_cases::SessionCaller;

use super::problem::Problem;
use crate::api::errors::PortFailed;
use crate::api::limits::set_account;
use crate::services::Services;

/// The name of the security scheme in the OpenAPI document.
const SCHEME: &str = "Bearer";
/// The name of the security scheme of stream tickets, and of their query parameter.
const TICKET_SCHEME: &str = "StreamTicket";
const TICKET: &str = "ticket";

/// The caller, authenticated by a bearer token. If `RECALL` is true, the session may come from the memory of this
/// server instead of the database. In that case, another replica may have ended the session already. Set `RECALL` only
/// for operations whose use case checks the session again when it stores data.
pub(super) struct TokenCaller<const RECALL: bool = false>(pub(super) SessionCaller);

impl<'a, const RECALL: bool> ApiExtractor<'a> for TokenCaller<RECALL> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        let scheme = MetaSecurityScheme {
            ty: "http",
            description: Some("The `token` returned by `registerUser` or `logIn`."),
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
        let services = Services::from_request(request)?;
        let token = request.header(header::AUTHORIZATION).and_then(bearer).ok_or_else(Problem::unauthenticated)?;
        let caller = match RECALL {
            true => services.check_token.recall(&token).await,
            false => services.check_token.execute(&token).await,
        };
        let caller = caller.map_err(PortFailed::from)?.ok_or_else(Problem::unauthenticated)?;
        set_account(request, caller.caller.user_id);
        Ok(Self(caller))
    }
}

/// The caller of an event stream, authenticated by a bearer token, or, if the header `Authorization` is absent, by a
/// stream ticket.
pub(super) struct StreamCaller(pub(super) SessionCaller);

impl<'a> ApiExtractor<'a> for StreamCaller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        TokenCaller::<false>::register(registry);
        let scheme = MetaSecurityScheme {
            ty: "apiKey",
            description: Some("The `ticket` returned by `createStreamTicket`. A ticket opens one stream."),
            name: Some(TICKET),
            key_in: Some("query"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        };
        registry.create_security_scheme(TICKET_SCHEME, scheme);
    }

    fn security_schemes() -> Vec<&'static str> {
        vec![SCHEME, TICKET_SCHEME]
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        options: ExtractParamOptions<Self::ParamType>,
    ) -> poem::Result<Self> {
        let parameters: Vec<(String, String)> = match request.header(header::AUTHORIZATION) {
            Some(_) => Vec::new(),
            None => request.params().unwrap_or_default(),
        };
        let Some((_, ticket)) = parameters.into_iter().find(|(name, _)| name == TICKET) else {
            return Ok(Self(TokenCaller::<false>::from_request(request, body, options).await?.0));
        };
        let services = Services::from_request(request)?;
        let caller = services.take_stream_ticket.execute(&Token::new(ticket)).await.map_err(PortFailed::from)?;
        let caller = caller.ok_or_else(Problem::invalid_ticket)?;
        set_account(request, caller.caller.user_id);
        Ok(Self(caller))
    }
}

/// Parses the credentials `Bearer <token>`. The word `Bearer` is case-insensitive.
fn bearer(credentials: &str) -> Option<Token> {
    let (scheme, token) = credentials.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| Token::new(token.trim_matches(' ').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bearer_scheme_is_accepted() {
        for credentials in ["Bearer 0a1b", "bearer 0a1b", "BEARER  0a1b "] {
            assert_eq!(bearer(credentials).map(|token| token.reveal().to_owned()).as_deref(), Some("0a1b"));
        }
        for credentials in ["", "Bearer", "Basic 0a1b", "0a1b"] {
            assert!(bearer(credentials).is_none(), "{credentials}");
        }
    }
}
