//! The HTTP client of the sanity suite, of `kill` and of the tests.
//!
//! A [`Device`] calls the v1 API, a `ClassicUser` the classic API. Some methods only build a request, so that the
//! caller can drop the request while it is in flight, or expect it to fail.

mod classic_user;
mod device;
mod events;
mod mailbox_page;
mod problem;
mod response;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub use self::device::Device;
pub use self::events::Events;
pub use self::mailbox_page::{MailboxPage, Message};
pub use self::response::try_send;

pub(crate) use self::classic_user::ClassicUser;
pub(crate) use self::device::{id_of, message, sequences};
pub(crate) use self::events::Event;
pub(crate) use self::problem::PROBLEMS;
pub(crate) use self::response::{ApiResponse, send};

/// Maximum duration of a request. Longer than the longest long poll.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Builds an HTTP client that ignores the proxy settings of the environment and connects directly. With the feature
/// `tls`, the client trusts the certificates of the system, or the certificates in the file that `SSL_CERT_FILE` names.
///
/// # Errors
///
/// If the certificates can't be loaded.
pub fn http(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // Ignores an error, which means that a crypto provider is installed already. Any provider will do.
    #[cfg(feature = "tls")]
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(timeout).build()
}

/// A client that sends its requests to the replicas of a server in turn.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    requests: Arc<AtomicUsize>,
    /// A random number in all usernames of this client, which makes the usernames unique.
    run: u64,
}

impl Client {
    pub(crate) fn new<'a>(urls: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Self> {
        static CLIENTS: AtomicU64 = AtomicU64::new(0);
        let http = http(TIMEOUT)?;
        let random = fastrand::u64(..0xffff_ffff);
        let run = random + CLIENTS.fetch_add(1, Ordering::Relaxed);
        let urls = urls.into_iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { http, urls, requests: Arc::default(), run })
    }

    /// Returns a copy of this client that sends all requests to the server at `url`.
    fn at(&self, url: &str) -> Self {
        Self { urls: vec![url.to_owned()], requests: Arc::default(), ..self.clone() }
    }

    /// Returns a username that nobody has: `base`, and a suffix that no other client uses.
    pub(crate) fn name(&self, base: &str) -> String {
        format!("{base}-{:x}", self.run)
    }

    /// Returns the number of replicas. That many consecutive requests reach each replica once.
    pub(crate) fn replicas(&self) -> usize {
        self.urls.len()
    }

    /// Returns the URL of the server for the next request.
    pub(crate) fn url(&self) -> &str {
        &self.urls[self.requests.fetch_add(1, Ordering::Relaxed) % self.urls.len()]
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Registers a user through the classic API, with a username that starts with `base`.
    pub(crate) async fn user(&self, base: &str) -> anyhow::Result<ClassicUser> {
        let (name, password) = (self.name(base), format!("password of {base}"));
        let body = registration(&name, &password);
        let user = self.post("/users", &body).await?.expect(201)?;
        let id = user["id"].as_i64().context("the id is not an integer")?;
        Ok(ClassicUser { client: self.clone(), id, name, password })
    }

    /// Registers a user with a username that starts with `base`. Returns its first device.
    pub(crate) async fn account(&self, base: &str) -> anyhow::Result<Device> {
        self.register(&self.name(base)).await
    }

    /// Registers a user. Returns its first device.
    pub(crate) async fn register(&self, name: &str) -> anyhow::Result<Device> {
        let password = format!("password of {name}");
        let registered = self.post("/v1/users", &registration(name, &password)).await?.expect(201)?;
        Device::new(self.clone(), name.to_owned(), password, &registered)
    }

    /// Logs in with `body` as the request body. Returns the device.
    pub(crate) async fn log_in(&self, body: &Value) -> anyhow::Result<Device> {
        let opened = self.post("/v1/sessions", body).await?.expect(201)?;
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        Device::new(self.clone(), text("username"), text("password"), &opened)
    }
}

/// Returns the body of a registration request, which both APIs accept.
pub(crate) fn registration(name: &str, password: &str) -> Value {
    json!({
        "username": name,
        "password": password,
        "public_key": "a public key",
        "private_key": "a private key",
    })
}

pub(crate) fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["contents"].as_str()).collect()
}
