//! What the checks talk to a server with.

mod answer;
mod device;
mod events;
mod problem;
mod user;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

pub(super) use self::answer::{Answer, send};
pub(super) use self::device::{Device, id_of, message, sequences};
pub(super) use self::events::{Event, Events};
pub(super) use self::problem::PROBLEMS;
pub(super) use self::user::User;

/// Talks to a server, or to its replicas in turn.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    requests: Arc<AtomicUsize>,
    /// Makes the usernames of this check differ from those of all others.
    run: u64,
}

impl Client {
    pub(super) fn new<'a>(urls: impl Iterator<Item = &'a str>) -> anyhow::Result<Self> {
        static CHECKS: AtomicU64 = AtomicU64::new(0);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
        let random = getrandom::u64()? % 0xffff_ffff;
        let run = random + CHECKS.fetch_add(1, Ordering::Relaxed);
        let urls = urls.map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { http, urls, requests: Arc::default(), run })
    }

    /// A username that nobody has yet: `base` and something that no other check has.
    pub(super) fn name(&self, base: &str) -> String {
        format!("{base}-{:x}", self.run)
    }

    /// How many servers there are: as many requests, one after another, ask each of them once.
    pub(super) fn replicas(&self) -> usize {
        self.urls.len()
    }

    /// The server whose turn it is.
    pub(super) fn url(&self) -> &str {
        &self.urls[self.requests.fetch_add(1, Ordering::Relaxed) % self.urls.len()]
    }

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url()))
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Registers a user of the classic API whose name starts with `base`.
    pub(super) async fn user(&self, base: &str) -> anyhow::Result<User> {
        let (name, password) = (self.name(base), format!("password of {base}"));
        let body = registration(&name, &password);
        let user = self.post("/users", &body).await?.expect(201)?;
        let id = user["id"].as_i64().context("the id is no integer")?;
        Ok(User { client: self.clone(), id, name, password })
    }

    /// Registers a user whose name starts with `base`, and gives its first device.
    pub(super) async fn account(&self, base: &str) -> anyhow::Result<Device> {
        self.register(&self.name(base)).await
    }

    /// Registers a user of that name, and gives its first device.
    pub(super) async fn register(&self, name: &str) -> anyhow::Result<Device> {
        let password = format!("password of {name}");
        let registered = self.post("/v1/users", &registration(name, &password)).await?.expect(201)?;
        Device::new(self.clone(), name.to_owned(), password, &registered)
    }

    /// Logs in with a body that has to do, as the user of that name.
    pub(super) async fn log_in(&self, body: &Value) -> anyhow::Result<Device> {
        let opened = self.post("/v1/sessions", body).await?.expect(201)?;
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        Device::new(self.clone(), text("username"), text("password"), &opened)
    }
}

/// What a user of that name registers with.
pub(super) fn registration(name: &str, password: &str) -> Value {
    json!({
        "username": name,
        "password": password,
        "public_key": "a public key",
        "private_key": "a private key",
    })
}

/// The contents of messages.
pub(super) fn contents(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["contents"].as_str()).collect()
}

/// Fails unless both are equal, with both in the message.
macro_rules! ensure_eq {
    ($left:expr, $right:expr $(,)?) => {
        match (&$left, &$right) {
            (left, right) => {
                anyhow::ensure!(left == right, "{} is {left:?} where {right:?} was expected", stringify!($left));
            }
        }
    };
}
pub(super) use ensure_eq;
