//! Tests of CORS: which web pages of other origins a browser lets call the API.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response};
use serde_json::json;
use support::{Server, output};

const ORIGIN: &str = "https://app.example.org";

/// Sends a request with the header `Origin`, as a browser does for a page of `origin`.
async fn ask(server: &Server, origin: &str, method: Method, path: &str) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.request(method, format!("{}{path}", server.url)).header("origin", origin);
    request.send().await.unwrap()
}

/// Sends a preflight request: the request with which a browser asks whether a page of `origin` may send a POST request
/// with the headers `Authorization` and `Content-Type`.
async fn preflight(server: &Server, origin: &str, path: &str) -> Response {
    let client = Client::builder().no_proxy().build().unwrap();
    let request = client.request(Method::OPTIONS, format!("{}{path}", server.url)).header("origin", origin);
    let request = request.header("access-control-request-method", "POST");
    request.header("access-control-request-headers", "authorization,content-type").send().await.unwrap()
}

/// Returns the comma-separated items of all headers with this name, in lower case.
fn items(headers: &HeaderMap, name: &str) -> Vec<String> {
    let values = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
    values.flat_map(|value| value.split(',')).map(|item| item.trim().to_lowercase()).collect()
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_send_and_read_everything_that_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["--cors-origin", "http://localhost:5173", "--cors-origin", ORIGIN];
    let server = Server::start(folder.path(), &args);
    for path in ["/v1/users", "/v1/messages", "/v1/mailbox/stream", "/messages"] {
        let answer = preflight(&server, ORIGIN, path).await;
        assert_eq!(answer.status(), 204, "{path}");
        let headers = answer.headers();
        assert_eq!(items(headers, "access-control-allow-origin"), [ORIGIN]);
        assert_eq!(items(headers, "access-control-max-age"), ["86400"]);
        let allowed = ["authorization", "content-type", "idempotency-key", "if-match", "last-event-id"];
        assert_eq!(items(headers, "access-control-allow-headers"), allowed);
        for method in ["get", "post", "put", "patch", "delete"] {
            assert!(items(headers, "access-control-allow-methods").contains(&method.to_owned()), "{method}");
        }
        assert!(!headers.contains_key("access-control-allow-credentials"));
    }
    let client = Client::builder().no_proxy().build().unwrap();
    let user = json!({ "username": "alice", "password": "a secret", "public_key": "key" });
    let answer = client.post(format!("{}/v1/users", server.url)).header("origin", ORIGIN).json(&user).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 201);
    let exposed = items(answer.headers(), "access-control-expose-headers");
    assert_eq!(exposed, ["etag", "location", "retry-after", "x-request-id"]);
    assert!(answer.headers().contains_key("location") && answer.headers().contains_key("x-request-id"));
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_can_read_errors() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--cors-origin", ORIGIN]);
    for (method, path, status) in [
        (Method::GET, "/v1/mailbox", 401),
        (Method::GET, "/v1/mailbox/stream", 401),
        (Method::GET, "/v1/nowhere", 404),
        (Method::PUT, "/v1/users", 405),
        (Method::POST, "/v1/users", 415),
        (Method::GET, "/messages", 401),
        (Method::GET, "/openapi.json", 200),
    ] {
        let answer = ask(&server, ORIGIN, method, path).await;
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(items(answer.headers(), "access-control-allow-origin"), [ORIGIN], "{path}");
        assert!(items(answer.headers(), "vary").contains(&"origin".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_cannot_read_and_requests_without_cors_are_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--cors-origin", ORIGIN]);
    let other = "https://evil.example";
    assert_eq!(preflight(&server, other, "/v1/messages").await.status(), 405);
    for origin in [other, "null", "https://app.example.org.evil.example"] {
        let answer = ask(&server, origin, Method::GET, "/health/live").await;
        assert_eq!(answer.status(), 200);
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
        // A shared cache must not give this response to an allowed page.
        assert_eq!(items(answer.headers(), "vary"), ["origin"]);
    }
    // A page of the server itself, such as Swagger UI, also sends its origin.
    let own = server.url.clone();
    assert_eq!(ask(&server, &own, Method::GET, "/health/live").await.status(), 200);
    // Not a preflight request.
    assert_eq!(ask(&server, ORIGIN, Method::OPTIONS, "/v1/messages").await.status(), 405);
}

#[tokio::test]
async fn a_star_allows_every_origin() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--cors-origin", "*"]);
    for origin in [ORIGIN, "http://localhost:5173", "null"] {
        let answer = preflight(&server, origin, "/v1/messages").await;
        assert_eq!(
            (answer.status().as_u16(), items(answer.headers(), "access-control-allow-origin")),
            (204, vec!["*".to_owned()])
        );
        let answer = ask(&server, origin, Method::GET, "/v1/mailbox").await;
        assert_eq!(items(answer.headers(), "access-control-allow-origin"), ["*"]);
        assert!(!answer.headers().contains_key("vary"));
    }
}

#[tokio::test]
async fn no_origin_is_allowed_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let answer = preflight(&server, ORIGIN, "/v1/messages").await;
    assert_eq!(answer.status(), 405);
    for answer in [answer, ask(&server, ORIGIN, Method::GET, "/health/live").await] {
        assert!(!answer.headers().contains_key("access-control-allow-origin"));
        assert!(!answer.headers().contains_key("vary"));
    }
}

#[test]
fn an_invalid_origin_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    for origin in ["app.example.org", "https://app.example.org/", "https://app.example.org:443"] {
        let by_option = output(folder.path(), &["--port", "0", "--cors-origin", origin]);
        let listed = format!("{ORIGIN}, {origin}");
        let by_variable =
            support::command(folder.path(), &["--port", "0"]).env("WOOSH_CORS_ORIGIN", listed).output().unwrap();
        for output in [by_option, by_variable] {
            let text = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success());
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.contains(&format!("--cors-origin {origin:?} is not an origin: ")), "{text}");
        }
    }
    assert!(!folder.path().join("woosh.db").exists(), "the database was created before the error");
}
