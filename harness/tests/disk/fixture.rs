use std::time::{Duration, Instant};

use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use woosh_harness::client;
use woosh_server::database::DatabaseUrl;
use woosh_server::server::{Config, CorsOrigins, Limits, Server, StartError};

/// A running server.
pub(crate) struct Running {
    pub(crate) url: String,
    client: Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

/// Starts a server that refuses to store when less than `min_free_space` bytes are free.
pub(crate) async fn start(database: &DatabaseUrl, min_free_space: u64) -> Result<Running, StartError> {
    let config = Config {
        host: "127.0.0.1".to_owned(),
        port: 0,
        database: database.clone(),
        database_wait: Duration::ZERO,
        limits: Limits { min_free_space, ..Limits::default() },
        cors_origins: CorsOrigins::default(),
        grace: Duration::from_secs(5),
    };
    // Boxed because it is large.
    let server = Box::pin(Server::bind(&config)).await?;
    let url = format!("http://{}", server.address());
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(server.run_until(async {
        let _ = stopped.await;
    }));
    let client = client::http(Duration::from_secs(60)).unwrap();
    Ok(Running { url, client, stop, served })
}

impl Running {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.served.await.unwrap().unwrap();
    }

    /// Sends a request, with a bearer token unless `token` is empty. Returns the status and the body of the response.
    pub(crate) async fn ask(&self, token: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.url)).json(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        answer(request.send().await.unwrap()).await
    }

    /// Sends a request of the classic API.
    pub(crate) async fn ask_classic(&self, user: &str, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.url)).json(body);
        answer(request.header("x-user-name", user).header("x-user-token", PASSWORD).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> (u16, Value) {
        self.ask(token, Method::POST, path, body).await
    }

    pub(crate) async fn health(&self, check: &str) -> u16 {
        self.client.get(format!("{}/health/{check}", self.url)).send().await.unwrap().status().as_u16()
    }

    /// Registers a user. Returns the token and the identifier of its device.
    pub(crate) async fn register(&self, name: &str) -> (String, i64) {
        let (status, body) = self.post("", "/v1/users", &registration(name)).await;
        assert_eq!(status, 201, "{body}");
        (body["token"].as_str().unwrap().to_owned(), body["device"]["id"].as_i64().unwrap())
    }
}

/// Returns the status and the body of a response. A response with 507 must have `Retry-After`, and an error body in the
/// format of the API that was called. Otherwise panics.
async fn answer(response: Response) -> (u16, Value) {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let is_v1 = response.url().path().starts_with("/v1/");
    let body: Value = response.json().await.unwrap_or_default();
    if status == 507 {
        assert!(headers.contains_key("retry-after"));
        assert_eq!(body["status"], 507, "{body}");
        let code = if is_v1 { Value::from("storage_full") } else { Value::Null };
        assert_eq!(body["code"], code, "{body}");
    }
    (status, body)
}

pub(crate) const PASSWORD: &str = "open sesame";

/// Returns the body of a registration, which both APIs accept.
pub(crate) fn registration(name: &str) -> Value {
    serde_json::json!({ "username": name, "password": PASSWORD, "public_key": "a key", "private_key": "a key" })
}

/// Returns the body of a request that sends `contents` to the user `name`.
pub(crate) fn to(name: &str, contents: &str) -> Value {
    serde_json::json!({ "recipients": [{ "username": name, "contents": contents }] })
}

pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < Duration::from_secs(30), "not {what} after {:?}", start.elapsed());
        sleep(Duration::from_millis(100)).await;
    }
}
