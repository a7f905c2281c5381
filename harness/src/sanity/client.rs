//! What the checks talk to a server with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

/// Talks to a server, or to its replicas in turn.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    requests: Arc<AtomicUsize>,
    /// Makes the usernames of this check differ from those of all others.
    run: u64,
}

/// A registered user, to ask as.
#[derive(Debug, Clone)]
pub(super) struct User {
    client: Client,
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) password: String,
}

/// An answer that has arrived whole.
#[derive(Debug)]
pub(super) struct Answer {
    request: String,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
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

    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let turn = self.requests.fetch_add(1, Ordering::Relaxed) % self.urls.len();
        self.http.request(method, format!("{}{path}", self.urls[turn]))
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Registers a user whose name starts with `base`.
    pub(super) async fn user(&self, base: &str) -> anyhow::Result<User> {
        let (name, password) = (self.name(base), format!("password of {base}"));
        let body = registration(&name, &password);
        let user = self.post("/users", &body).await?.expect(201)?;
        let id = user["id"].as_i64().context("the id is no integer")?;
        Ok(User { client: self.clone(), id, name, password })
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

impl User {
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, path)
            .header("x-user-name", &self.name)
            .header("x-user-token", self.password.as_bytes())
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Answer> {
        send(self.request(Method::POST, path).json(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> anyhow::Result<Answer> {
        send(self.request(Method::DELETE, path)).await
    }

    /// Sends a message that has to be taken, and gives it as it was answered.
    pub(super) async fn write(&self, to: &Self, contents: &str) -> anyhow::Result<Value> {
        self.post("/messages", &json!({ "recipient": to.name, "contents": contents })).await?.expect(201)
    }

    /// Polls, and gives the messages and the query time.
    pub(super) async fn poll(&self) -> anyhow::Result<(Vec<Value>, i64)> {
        let page = self.get("/messages").await?.expect(200)?;
        let query_time = page["query_time"].as_i64().context("query_time is no integer")?;
        let messages = page["messages"].as_array().context("messages is no array")?;
        Ok((messages.clone(), query_time))
    }

    /// Polls until all of at least `count` messages could be deleted by the query time.
    pub(super) async fn poll_until_old(&self, count: usize) -> anyhow::Result<(Vec<Value>, i64)> {
        for _ in 0..500 {
            let (messages, query_time) = self.poll().await?;
            if messages.len() >= count
                && messages.iter().all(|message| message["sent_at"].as_i64().is_some_and(|at| at < query_time))
            {
                return Ok((messages, query_time));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bail!("after ten seconds {count} messages could not be deleted yet");
    }

    /// Deletes what is older than a second, and gives how many messages that was.
    pub(super) async fn delete_until(&self, seconds: i64) -> anyhow::Result<u64> {
        let answer = self.delete(&format!("/messages?until={seconds}")).await?.expect(200)?;
        ensure!(answer["result"] == "success", "the result is {}", answer["result"]);
        answer["deleted"].as_u64().context("deleted is no count")
    }
}

/// Sends a request and waits for the whole answer.
pub(super) async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let (client, request) = request.build_split();
    let request = request?;
    let described = format!("{} {}", request.method(), request.url().path());
    let response = client.execute(request).await.with_context(|| format!("{described} got no answer"))?;
    Ok(Answer {
        status: response.status(),
        headers: response.headers().clone(),
        text: response.text().await.with_context(|| format!("the answer to {described} broke off"))?,
        request: described,
    })
}

impl Answer {
    /// The JSON body, where the status is the expected one.
    pub(super) fn expect(&self, status: u16) -> anyhow::Result<Value> {
        ensure!(
            self.status == status,
            "{} gave {} where {status} was expected: {}",
            self.request,
            self.status,
            self.text
        );
        serde_json::from_str(&self.text).with_context(|| format!("{} gave no JSON: {}", self.request, self.text))
    }

    /// The message of an error in the classic shape, where the status is the expected one.
    pub(super) fn expect_error(&self, status: u16) -> anyhow::Result<String> {
        let error = self.expect(status)?;
        let fields = error.as_object().map(|error| error.keys().map(String::as_str).collect::<Vec<_>>());
        ensure!(
            fields.is_some_and(|fields| fields == ["status", "message"]) && error["status"] == status,
            "{} gave an error of another shape: {}",
            self.request,
            self.text
        );
        Ok(error["message"].as_str().context("the message of an error is no text")?.to_owned())
    }

    /// Fails unless this is an error of that status whose message has all these parts.
    pub(super) fn expect_error_with(&self, status: u16, parts: &[&str]) -> anyhow::Result<()> {
        let message = self.expect_error(status)?;
        for part in parts {
            ensure!(message.contains(part), "{}: the message does not say {part:?}: {message}", self.request);
        }
        Ok(())
    }
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
