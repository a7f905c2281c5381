use anyhow::{Context as _, ensure};

use super::body::Decoder;

/// Maximum size of the head of a response (the status line and the headers), in bytes.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 48;

/// The parsed head of a response: its status line and headers.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) body: Decoder,
    /// The size of the head in bytes, which is where the body starts.
    pub(super) length: usize,
}

impl Head {
    /// Parses the head of a response at the start of `input`: the status line and the headers. Returns `None` if
    /// `input` ends before the end of the head.
    pub(super) fn parse(input: &[u8]) -> anyhow::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(input).context("the response is not HTTP")? else {
            ensure!(input.len() < MAX_HEAD, "the head of the response is longer than {MAX_HEAD} bytes");
            return Ok(None);
        };
        let status = response.code.context("the response has no status")?;
        let find = |name: &str| {
            let mut headers = response.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| String::from_utf8_lossy(header.value))
        };
        let chunked = find("transfer-encoding").is_some_and(|value| value.trim().eq_ignore_ascii_case("chunked"));
        let body = match find("content-length") {
            _ if chunked => Decoder::chunked(),
            Some(length) => Decoder::length(length.trim().parse().context("the content-length is not a number")?)?,
            None if status == 204 => Decoder::length(0)?,
            None => anyhow::bail!("the response has neither a content-length nor chunks"),
        };
        Ok(Some(Self { status, body, length }))
    }
}
