use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tokio::time::timeout;

/// The address of a server. The methods return the heads of requests to the server: the request line and the headers.
#[derive(Debug)]
pub(in crate::bench) struct Endpoint {
    pub(super) address: SocketAddr,
    host: String,
    /// The path of the server's URL, which comes before the paths of the API. Empty if the URL has no path.
    base: String,
}

impl Endpoint {
    /// Parses a URL and resolves its host name.
    pub(in crate::bench) async fn resolve(url: &str) -> anyhow::Result<Self> {
        let parsed = reqwest::Url::parse(url).with_context(|| format!("{url} is not a URL"))?;
        ensure!(
            parsed.scheme() == "http",
            "{url} does not start with http: bench measures the server itself, without the proxy that terminates TLS"
        );
        let host = parsed.host_str().with_context(|| format!("{url} names no host"))?;
        let port = parsed.port_or_known_default().unwrap_or(80);
        let name = host.trim_start_matches('[').trim_end_matches(']');
        let resolved = timeout(Duration::from_secs(10), tokio::net::lookup_host((name, port))).await;
        let mut addresses = resolved
            .with_context(|| format!("{host} was not resolved within 10 seconds"))?
            .with_context(|| format!("{host} can't be resolved"))?;
        let address = addresses.next().with_context(|| format!("{host} has no address"))?;
        Ok(Self { address, host: format!("{host}:{port}"), base: parsed.path().trim_end_matches('/').to_owned() })
    }

    /// Returns the head of a GET request: the request line and the headers.
    pub(in crate::bench) fn get(&self, path: &str, token: &str) -> String {
        format!("GET {}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n", self.base, self.host)
    }

    /// Returns the head of a POST request with a JSON body: the request line and the headers, up to and including
    /// `content-length:`. The caller appends the length of the body, and the body.
    pub(in crate::bench) fn post(&self, path: &str, token: &str) -> String {
        format!(
            "POST {}{path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: ",
            self.base, self.host
        )
    }
}
