use std::path::Path;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::{PASSWORD, Server};

/// Returns the resident memory of a server, in MiB.
pub(crate) fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Registers a user, and returns the token of its first device.
pub(crate) async fn register(server: &Server, name: &str) -> String {
    let user = json!({ "username": name, "password": PASSWORD, "public_key": "key" });
    let response = request(server, "", Method::POST, "/v1/users", &user).await;
    assert_eq!(response.status(), 201);
    response.json::<Value>().await.unwrap()["token"].as_str().unwrap().to_owned()
}

/// Sends a request to the v1 API. If `body` is `null`, the request has no body.
pub(crate) async fn request(server: &Server, token: &str, method: Method, path: &str, body: &Value) -> Response {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.request(method, format!("{}{path}", server.url)).bearer_auth(token);
    if !body.is_null() {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

/// Sends a message with the contents `contents` to the user alice.
pub(crate) async fn send(server: &Server, token: &str, contents: &str) {
    let body = json!({ "recipients": [{ "username": "alice", "contents": contents }] });
    assert_eq!(request(server, token, Method::POST, "/v1/messages", &body).await.status(), 201);
}

/// Opens the database file of the server that runs in `folder`.
pub(crate) async fn database(folder: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(folder.join("woosh.db")).connect().await.unwrap()
}
