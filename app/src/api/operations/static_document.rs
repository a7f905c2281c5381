use std::fmt::Write as _;
use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use poem::http::{HeaderMap, HeaderName, header};
use poem::{Body, IntoResponse, Response};
use sha2::{Digest as _, Sha256};

use crate::api::limits::SharedBody;

/// A client may use a document for 300 seconds before it asks whether the document has changed. Only a new version of
/// the server changes a document.
pub(super) const CACHE_CONTROL: &str = "public, max-age=300";

/// A document that does not change while the server runs, uncompressed and compressed. All responses share its bytes.
pub(super) struct StaticDocument {
    identity: Representation,
    gzip: Representation,
}

/// A document in one content encoding: uncompressed, or compressed with gzip.
#[derive(Clone)]
pub(super) struct Representation {
    bytes: Bytes,
    etag: String,
    is_compressed: bool,
}

impl StaticDocument {
    /// Compresses the document. This uses much CPU time: call it on a thread for blocking work.
    pub(super) fn new(bytes: Bytes) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let compressed = Bytes::from(encoder.finish()?);
        Ok(Self { identity: Representation::new(bytes, false), gzip: Representation::new(compressed, true) })
    }

    /// Returns the document in the encoding that the request accepts. If the client already has this version of the
    /// document (`If-None-Match`), returns the entity tag of the document as the error.
    pub(super) fn negotiate(&self, headers: &HeaderMap) -> Result<Representation, String> {
        let accepts_gzip = items(headers, header::ACCEPT_ENCODING).any(is_gzip);
        let representation = if accepts_gzip { &self.gzip } else { &self.identity };
        let mut known = items(headers, header::IF_NONE_MATCH);
        if known.any(|tag| tag == "*" || tag.trim_start_matches("W/") == representation.etag) {
            return Err(representation.etag.clone());
        }
        Ok(representation.clone())
    }
}

impl Representation {
    fn new(bytes: Bytes, is_compressed: bool) -> Self {
        let mut etag = "\"".to_owned();
        for byte in &Sha256::digest(&bytes)[..16] {
            // Writing to a string can't fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        Self { bytes, etag, is_compressed }
    }
}

/// Returns the items of a header that is a comma-separated list.
fn items(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// Returns whether an item of `Accept-Encoding` accepts gzip.
fn is_gzip(item: &str) -> bool {
    let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
    let is_zero = weight.trim().strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0));
    ["gzip", "x-gzip", "*"].iter().any(|name| coding.trim().eq_ignore_ascii_case(name)) && !is_zero
}

impl IntoResponse for Representation {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .header(header::ETAG, self.etag)
            .header(header::CACHE_CONTROL, CACHE_CONTROL)
            .header(header::VARY, header::ACCEPT_ENCODING)
            .extension(SharedBody);
        if self.is_compressed {
            response = response.header(header::CONTENT_ENCODING, "gzip");
        }
        response.body(Body::from_bytes(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read as _;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    fn document() -> StaticDocument {
        StaticDocument::new(Bytes::from("woosh ".repeat(1000))).unwrap()
    }

    #[test]
    fn gzip_is_served_only_if_it_is_accepted() {
        for (value, accepted) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("deflate, br", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000", false),
            ("", false),
        ] {
            let chosen = document().negotiate(&headers(header::ACCEPT_ENCODING, value)).unwrap();
            assert_eq!(chosen.is_compressed, accepted, "{value}");
        }
    }

    #[test]
    fn the_compressed_document_is_the_document() {
        let document = document();
        let mut text = Vec::new();
        GzDecoder::new(&*document.gzip.bytes).read_to_end(&mut text).unwrap();
        assert_eq!(text, document.identity.bytes);
        assert!(document.gzip.bytes.len() < text.len() / 10);
        assert_ne!(document.gzip.etag, document.identity.etag);
    }

    #[test]
    fn a_client_that_has_the_document_gets_only_its_tag() {
        let document = document();
        let etag = document.identity.etag.clone();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            assert_eq!(
                document.negotiate(&headers(header::IF_NONE_MATCH, &known)).err(),
                Some(etag.clone()),
                "{known}"
            );
        }
        assert!(document.negotiate(&headers(header::IF_NONE_MATCH, &document.gzip.etag)).is_ok());
    }

    #[test]
    fn responses_share_the_bytes() {
        let document = document();
        let chosen = document.negotiate(&HeaderMap::new()).unwrap();
        assert_eq!(chosen.bytes.as_ptr(), document.identity.bytes.as_ptr());
    }
}
