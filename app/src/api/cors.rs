//! Cross-origin resource sharing (CORS): which web pages of other origins may call the API from a browser.

use poem::http::uri::Authority;
use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse as _, Middleware, Request, Response};

const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// The request headers that a page may send, in addition to those that CORS always allows.
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, if-match, last-event-id";
/// The response headers that a page may read, in addition to those that CORS always allows.
const RESPONSE_HEADERS: &str = "etag, location, retry-after, x-request-id";
/// Time for which a browser may remember the answer to a preflight request, in seconds.
const MAX_AGE: &str = "86400";

/// The origins whose web pages may call the API. None by default.
#[derive(Debug, Clone, Default)]
pub struct CorsOrigins {
    any: bool,
    listed: Vec<String>,
}

/// A text that is not an origin. The error message names the option.
#[derive(Debug, thiserror::Error)]
#[error("--cors-origin {text:?} is not an origin: {reason}")]
pub struct OriginError {
    text: String,
    reason: &'static str,
}

impl CorsOrigins {
    /// Parses origins, such as `https://app.example.org`. `*` stands for all origins. Skips empty texts.
    ///
    /// # Errors
    ///
    /// If a text is not an origin as browsers write it in the header `Origin`.
    pub fn parse(texts: &[String]) -> Result<Self, OriginError> {
        let mut origins = Self::default();
        for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
            if text == "*" {
                origins.any = true;
                continue;
            }
            let origin = text.to_ascii_lowercase();
            check(&origin).map_err(|reason| OriginError { text: text.to_owned(), reason })?;
            origins.listed.push(origin);
        }
        Ok(origins)
    }

    fn is_empty(&self) -> bool {
        !self.any && self.listed.is_empty()
    }

    /// Returns the value of `Access-Control-Allow-Origin`, or `None` if pages of this origin may not call the API.
    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.any {
            return Some(HeaderValue::from_static("*"));
        }
        self.listed.iter().any(|listed| origin == listed).then(|| origin.clone())
    }
}

/// Checks that an origin is written as browsers write it in the header `Origin`. An origin that is written in another
/// form would never match this header.
fn check(origin: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "expected *, or a scheme and a host, and a port if it is not the default, such as \
                            https://app.example.org";
    let (scheme, host) = origin.split_once("://").ok_or(EXPECTED)?;
    if host.contains(['/', '?', '#']) {
        return Err("it must end after the host or the port, without a path or a slash");
    }
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other));
    let authority: Authority = host.parse().map_err(|_| EXPECTED)?;
    if !is_scheme || authority.host().is_empty() || host.contains(['@', '*']) || host.ends_with(':') {
        return Err(EXPECTED);
    }
    // `Authority::port` returns `None` for a port that is out of range.
    let port = host.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    match (scheme, port.map(|(_, port)| port.parse())) {
        (_, Some(Err(_))) => Err("its port is not a number up to 65535"),
        ("http", Some(Ok(80_u16))) | ("https", Some(Ok(443))) => Err("browsers leave out the default port"),
        _ => Ok(()),
    }
}

/// Middleware: answers the preflight requests of browsers, and adds the headers with which a browser lets a page read a
/// response. Does nothing if there are no origins.
pub(super) struct Cors(pub(super) CorsOrigins);

impl<E: Endpoint<Output = Response>> Middleware<E> for Cors {
    type Output = CorsEndpoint<E>;

    fn transform(&self, next: E) -> CorsEndpoint<E> {
        CorsEndpoint { origins: self.0.clone(), next }
    }
}

/// The endpoint of the middleware [`Cors`].
pub(super) struct CorsEndpoint<E> {
    origins: CorsOrigins,
    next: E,
}

impl<E: Endpoint<Output = Response>> Endpoint for CorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        if self.origins.is_empty() {
            return self.next.call(request).await;
        }
        let allowed = request.headers().get(header::ORIGIN).and_then(|origin| self.origins.allow(origin));
        let is_preflight = allowed.is_some()
            && request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let mut response = if is_preflight { preflight() } else { self.next.call(request).await? };
        let headers = response.headers_mut();
        if !self.origins.any {
            // A cache must not give the response to a page of one origin to a page of another.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(RESPONSE_HEADERS));
        }
        Ok(response)
    }
}

fn preflight() -> Response {
    StatusCode::NO_CONTENT
        .with_header(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS)
        .with_header(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS)
        .with_header(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE)
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<CorsOrigins, OriginError> {
        CorsOrigins::parse(&[text.to_owned()])
    }

    #[test]
    fn only_a_listed_origin_is_allowed() {
        let listed = ["https://App.example.org", "http://localhost:5173", "http://[::1]:8080", "capacitor://localhost"];
        let origins = CorsOrigins::parse(&listed.map(str::to_owned)).unwrap();
        let allow = |origin: &str| origins.allow(&origin.parse().unwrap());
        for origin in ["https://app.example.org", "http://localhost:5173", "http://[::1]:8080", "capacitor://localhost"]
        {
            assert_eq!(allow(origin).unwrap(), origin);
        }
        for other in ["http://app.example.org", "https://example.org", "http://localhost", "null", ""] {
            assert_eq!(allow(other), None, "{other}");
        }
        assert_eq!(parse("*").unwrap().allow(&"null".parse().unwrap()).unwrap(), "*");
        assert!(parse("").unwrap().is_empty());
    }

    #[test]
    fn what_a_browser_never_sends_is_refused() {
        for (text, part) in [
            ("app.example.org", "such as https://app.example.org"),
            ("null", "such as"),
            ("https://", "such as"),
            ("://app.example.org", "such as"),
            ("ht tp://app.example.org", "such as"),
            ("https://app example.org", "such as"),
            ("https://user@app.example.org", "such as"),
            ("https://*.example.org", "such as"),
            ("https://bücher.example", "such as"),
            ("https://app.example.org/", "without a path"),
            ("https://app.example.org/chat?", "without a path"),
            ("https://app.example.org:443", "default port"),
            ("http://localhost:80", "default port"),
            ("http://localhost:", "such as"),
            ("http://localhost:99999", "port"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text} is taken for an origin")).to_string();
            assert!(error.starts_with(&format!("--cors-origin {text:?} is not an origin: ")), "{error}");
            assert!(error.contains(part), "{error}");
        }
    }
}
