use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::header::{ALLOW, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Client, PROBLEMS, message, registration, send};
use crate::sanity::ensure_eq;

/// All operations of v1 that need a token.
const CLOSED: [(Method, &str); 18] = [
    (Method::GET, "/v1/users"),
    (Method::GET, "/v1/users/alice"),
    (Method::GET, "/v1/users/me"),
    (Method::PATCH, "/v1/users/me"),
    (Method::DELETE, "/v1/users/me"),
    (Method::PUT, "/v1/users/me/password"),
    (Method::GET, "/v1/sessions"),
    (Method::DELETE, "/v1/sessions/1"),
    (Method::DELETE, "/v1/sessions/current"),
    (Method::GET, "/v1/devices"),
    (Method::DELETE, "/v1/devices/1"),
    (Method::POST, "/v1/messages"),
    (Method::GET, "/v1/mailbox"),
    (Method::GET, "/v1/mailbox?limit=0&after=x&wait=forever"),
    (Method::POST, "/v1/mailbox/ack"),
    (Method::POST, "/v1/mailbox/stream-tickets"),
    (Method::GET, "/v1/mailbox/stream"),
    (Method::GET, "/v1/users?prefix=&limit=x"),
];

/// All operations of v1 that have a request body.
const WITH_BODY: [(Method, &str); 6] = [
    (Method::POST, "/v1/users"),
    (Method::POST, "/v1/sessions"),
    (Method::PATCH, "/v1/users/me"),
    (Method::PUT, "/v1/users/me/password"),
    (Method::POST, "/v1/messages"),
    (Method::POST, "/v1/mailbox/ack"),
];

/// Adds a body to a request. Declares the body as JSON, even if it is something else.
fn as_json(request: RequestBuilder, body: impl Into<Body>) -> RequestBuilder {
    request.header(CONTENT_TYPE, "application/json").body(body)
}

pub(super) async fn every_operation_except_registration_and_login_needs_a_token(client: Client) -> anyhow::Result<()> {
    for (method, path) in CLOSED {
        let refused = send(client.request(method, path)).await?;
        refused.expect_problem("unauthenticated", &[])?;
        ensure!(
            refused.header(WWW_AUTHENTICATE)?.starts_with("Bearer"),
            "WWW-Authenticate does not start with Bearer: {:?}",
            refused.headers
        );
    }
    Ok(())
}

pub(super) async fn every_documented_operation_needs_a_token(client: Client) -> anyhow::Result<()> {
    let document = client.get("/openapi.json").await?.expect(200)?;
    let paths = document["paths"].as_object().context("paths is not an object")?;
    let mut open = Vec::new();
    for (path, operations) in paths.iter().filter(|(path, _)| path.starts_with("/v1/")) {
        for (method, operation) in operations.as_object().context("operations is not an object")? {
            if operation["security"].as_array().is_none_or(Vec::is_empty) {
                open.push(format!("{method} {path}"));
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes())?;
            let path = path.replace("{username}", "alice").replace("{id}", "1");
            send(client.request(method, &path)).await?.expect_problem("unauthenticated", &[])?;
        }
    }
    open.sort_unstable();
    ensure_eq!(open, ["post /v1/sessions", "post /v1/users"]);
    Ok(())
}

pub(super) async fn every_operation_refuses_invalid_tokens(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let token = &alice.token;
    let mut headers = ["", "Bearer", "Bearer ", "nonsense", "Basic YWxpY2U6c2VjcmV0"].map(str::to_owned).to_vec();
    headers.extend([format!("Bearer {}", "0".repeat(64)), format!("Bearer {}", "x".repeat(5000))]);
    headers.extend([format!("Bearer {token}0"), format!("Bearer {}", &token[1..]), format!("Basic {token}")]);
    headers.push(token.clone());
    for (method, path) in CLOSED {
        for header in &headers {
            let request = client.request(method.clone(), path).header(AUTHORIZATION, header);
            send(request).await?.expect_problem("unauthenticated", &[])?;
        }
        // v1 does not accept credentials of the classic API.
        let request = client.request(method, path).header("x-user-name", &alice.name);
        send(request.header("x-user-token", &alice.password)).await?.expect_problem("unauthenticated", &[])?;
    }
    alice.ensure_alive().await
}

pub(super) async fn every_operation_checks_the_token_before_the_body(client: Client) -> anyhow::Result<()> {
    let bodies = ["{".to_owned(), "\0".to_owned(), "x".repeat(2 * 1024 * 1024)];
    for (method, path) in CLOSED.into_iter().filter(|(method, _)| method != Method::GET) {
        for body in &bodies {
            let request = client.request(method.clone(), path).body(body.clone());
            send(request).await?.expect_problem("unauthenticated", &[])?;
        }
    }
    Ok(())
}

pub(super) async fn an_unknown_path_is_a_problem(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    for path in ["/v1/", "/v1/nonsense", "/v1/users/me/more", "/v1/messages/1", "/v1/mailbox/1", "/v1/%00"] {
        client.get(path).await?.expect_problem("not_found", &[])?;
        alice.post(path, &json!({})).await?.expect_problem("not_found", &[])?;
    }
    Ok(())
}

pub(super) async fn a_wrong_method_is_refused_with_the_allowed_ones(client: Client) -> anyhow::Result<()> {
    let wrong = [
        (Method::PUT, "/v1/users", "GET, POST, HEAD"),
        (Method::DELETE, "/v1/users/alice", "GET, HEAD"),
        (Method::POST, "/v1/users/me", "GET, PATCH, DELETE, HEAD"),
        (Method::GET, "/v1/users/me/password", "PUT"),
        (Method::PATCH, "/v1/sessions", "GET, POST, HEAD"),
        (Method::GET, "/v1/sessions/current", "DELETE"),
        (Method::GET, "/v1/sessions/1", "DELETE"),
        (Method::POST, "/v1/devices", "GET, HEAD"),
        (Method::PUT, "/v1/devices/1", "DELETE"),
        (Method::GET, "/v1/messages", "POST"),
        (Method::DELETE, "/v1/mailbox", "GET, HEAD"),
        (Method::GET, "/v1/mailbox/ack", "POST"),
        (Method::OPTIONS, "/v1/mailbox/stream", "GET, HEAD"),
    ];
    for (method, path, allowed) in wrong {
        let refused = send(client.request(method, path)).await?;
        refused.expect_problem("method_not_allowed", &[])?;
        let methods = |text: &str| text.split(',').map(|method| method.trim().to_owned()).collect::<BTreeSet<_>>();
        ensure_eq!(methods(refused.header(ALLOW)?), methods(allowed));
    }
    Ok(())
}

pub(super) async fn a_body_that_is_not_a_json_object_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 11] = [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"username=alice",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"username\": \"\xff\xfe\"}",
        b"{\"username\": \"\\ud800\", \"up_to\": 0, \"info\": \"\"}",
        deep.as_bytes(),
    ];
    for (method, path) in WITH_BODY {
        for body in bodies {
            let request = as_json(alice.request(method.clone(), path), body.to_vec());
            send(request).await?.expect_problem("invalid_request", &[])?;
        }
    }
    Ok(())
}

pub(super) async fn a_body_that_is_not_declared_as_json_is_refused(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    // A web page of any origin can send the first three without asking the server first.
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonp",
        "text/json",
        "nonsense",
        "",
    ] {
        for (method, path) in WITH_BODY {
            let request = alice.request(method, path).header(CONTENT_TYPE, content_type).body("{}");
            send(request).await?.expect_problem("unsupported_media_type", &["Content-Type", "application/json"])?;
        }
    }
    let body = message(&[(&bob, "foo")]).to_string();
    let untyped = alice.request(Method::POST, "/v1/messages").body(body.clone());
    send(untyped).await?.expect_problem("unsupported_media_type", &["Content-Type", "application/json"])?;
    for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"] {
        let request = alice.request(Method::POST, "/v1/messages").header(CONTENT_TYPE, content_type);
        send(request.body(body.clone())).await?.expect(201)?;
    }
    ensure_eq!(bob.messages().await?.len(), 3);
    Ok(())
}

pub(super) async fn a_compressed_body_is_refused(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = message(&[(&bob, "foo")]);
    let request =
        |encoding: &str| alice.request(Method::POST, "/v1/messages").json(&body).header(CONTENT_ENCODING, encoding);
    for encoding in ["gzip", "br", "identity, gzip"] {
        let refused = send(request(encoding)).await?;
        refused.expect_problem("unsupported_media_type", &["Content-Encoding"])?;
    }
    send(request("identity")).await?.expect(201)?;
    ensure_eq!(bob.messages().await?.len(), 1);
    Ok(())
}

pub(super) async fn a_byte_order_mark_before_the_body_is_skipped(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = format!("\u{feff}{}", message(&[(&bob, "foo")]));
    send(as_json(alice.request(Method::POST, "/v1/messages"), body)).await?.expect(201)?;
    ensure_eq!(bob.messages().await?.len(), 1);
    Ok(())
}

pub(super) async fn a_too_long_body_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let mut long = message(&[(&alice, "foo")]);
    long["padding"] = json!("x".repeat(10 * 1024 * 1024));
    let long = long.to_string();
    for (method, path) in WITH_BODY {
        let refused = send(as_json(alice.request(method.clone(), path), long.clone())).await?;
        refused.expect_problem("body_too_large", &[])?;
    }
    // Sends a chunked body, which has no Content-Length.
    let chunks = long.as_bytes().chunks(64 * 1024).map(|chunk| std::io::Result::Ok(chunk.to_vec()));
    let stream = futures_util::stream::iter(chunks.collect::<Vec<_>>());
    let chunked = as_json(alice.request(Method::POST, "/v1/messages"), Body::wrap_stream(stream));
    send(chunked).await?.expect_problem("body_too_large", &[])?;
    ensure_eq!(alice.messages().await?, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn each_code_has_one_title(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let answers = [
        client.post("/v1/users", &json!({})).await?,
        client.post("/v1/users", &registration("no name!", "secret")).await?,
        alice.get("/v1/mailbox?limit=0").await?,
        send(as_json(alice.request(Method::POST, "/v1/messages"), "{")).await?,
    ];
    let titles: Result<BTreeSet<_>, _> =
        answers.iter().map(|answer| Ok(answer.expect(400)?["title"].to_string())).collect();
    let titles: anyhow::Result<_> = titles;
    ensure_eq!(titles?.len(), 1);
    Ok(())
}

pub(super) async fn every_code_is_documented(client: Client) -> anyhow::Result<()> {
    let document = client.get("/openapi.json").await?.expect(200)?;
    let schemas = document["components"]["schemas"].as_object().context("schemas is not an object")?;
    let codes = PROBLEMS.map(|(code, ..)| code);
    let names = |schema: &Value| {
        let names = schema["x-extensible-enum"].as_array().into_iter().flatten();
        names.filter_map(Value::as_str).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let documented = schemas.values().map(names).find(|names| names.contains("invalid_request"));
    let documented = documented.context("no schema lists the codes")?;
    // The document may list more codes than this suite knows.
    let missing: Vec<_> = codes.iter().filter(|code| !documented.contains(**code)).collect();
    ensure_eq!(missing, [&""; 0]);
    Ok(())
}
