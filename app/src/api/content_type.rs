use poem::Request;
use poem::error::ResponseError;
use poem::http::{StatusCode, header};

/// Why v1 does not accept the body of a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnsupportedBody {
    #[error("Content-Type has to be application/json")]
    NotJson,
    #[error("Content-Encoding has to be absent: the server accepts no compressed bodies")]
    Compressed,
}

impl ResponseError for UnsupportedBody {
    fn status(&self) -> StatusCode {
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    }
}

/// Checks the headers that describe the body. v1 accepts only `application/json`, and only uncompressed. The classic
/// API accepts all types.
///
/// Before a web page of another origin sends `application/json`, the browser asks the server for permission (CORS). The
/// browser sends types such as `text/plain` without asking, even to a server on localhost. Therefore v1 refuses such
/// types.
pub(super) fn check(request: &Request) -> Result<(), UnsupportedBody> {
    if !request.original_uri().path().starts_with("/v1/") {
        return Ok(());
    }
    if !request.content_type().is_some_and(is_json) {
        return Err(UnsupportedBody::NotJson);
    }
    match request.header(header::CONTENT_ENCODING) {
        None => Ok(()),
        Some(encoding) if encoding.eq_ignore_ascii_case("identity") => Ok(()),
        Some(_) => Err(UnsupportedBody::Compressed),
    }
}

/// Returns whether a media type is `application/json`, with any parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split_once(';').map_or(media_type, |(essence, _)| essence);
    essence.trim().eq_ignore_ascii_case("application/json")
}
