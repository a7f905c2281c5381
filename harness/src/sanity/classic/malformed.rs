use anyhow::ensure;
use reqwest::Method;
use reqwest::header::ALLOW;
use serde_json::{Value, json};

use crate::client::{Client, registration, send};
use crate::sanity::ensure_eq;

pub(super) async fn a_body_that_is_not_a_json_object_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 12] = [
        b"",
        b" ",
        b"{",
        b"nonsense",
        b"username=alice",
        b"null",
        b"[]",
        b"\"text\"",
        b"7",
        b"{\"recipient\": \"\xff\xfe\"}",
        b"{\"recipient\": \"\\ud800\", \"contents\": \"half a pair\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        for path in ["/users", "/messages", "/users/me"] {
            send(alice.request(Method::POST, path).body(body.to_vec())).await?.expect_error(400)?;
        }
    }
    Ok(())
}

pub(super) async fn a_too_long_body_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let long = json!({ "recipient": alice.name, "contents": "x".repeat(3 * 1024 * 1024) }).to_string();
    for path in ["/users", "/messages", "/users/me"] {
        let refused = send(alice.request(Method::POST, path).body(long.clone())).await?;
        refused.expect_error_with(413, &["1048576"])?;
        // Sends a chunked body, which has no Content-Length.
        let chunks = long.as_bytes().chunks(64 * 1024).map(|chunk| std::io::Result::Ok(chunk.to_vec()));
        let stream = futures_util::stream::iter(chunks.collect::<Vec<_>>());
        let chunked = alice.request(Method::POST, path).body(reqwest::Body::wrap_stream(stream));
        send(chunked).await?.expect_error_with(413, &["1048576"])?;
    }
    Ok(())
}

pub(super) async fn an_unknown_path_is_not_found(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    for path in ["/nonsense", "/users/", "/users/me/more", "/messages/1", "/%00", "/users/../messages%2f"] {
        client.get(path).await?.expect_error(404)?;
        alice.post(path, &json!({})).await?.expect_error(404)?;
    }
    Ok(())
}

pub(super) async fn a_wrong_method_is_refused_with_the_allowed_ones(client: Client) -> anyhow::Result<()> {
    let wrong = [
        (Method::GET, "/users", "POST"),
        (Method::DELETE, "/users/me", "GET, POST, HEAD"),
        (Method::POST, "/users/friends", "GET, HEAD"),
        (Method::PUT, "/messages", "POST, GET, DELETE, HEAD"),
        (Method::OPTIONS, "/messages", "POST, GET, DELETE, HEAD"),
        (Method::PATCH, "/users/me", "GET, POST, HEAD"),
    ];
    for (method, path, allowed) in wrong {
        let refused = send(client.request(method, path)).await?;
        refused.expect_error(405)?;
        let header = refused.headers.get(ALLOW).and_then(|allow| allow.to_str().ok()).unwrap_or_default();
        let sorted = |methods: &str| {
            let mut methods: Vec<_> = methods.split(", ").map(str::to_owned).collect();
            methods.sort_unstable();
            methods
        };
        ensure_eq!(sorted(header), sorted(allowed));
    }
    Ok(())
}

pub(super) async fn a_refused_request_changes_nothing(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let before = alice.get("/users/me").await?.text;
    alice.post("/users/me", &json!({ "info": ["wrong"] })).await?.expect_error(400)?;
    alice.post("/messages", &json!({ "recipient": bob.name })).await?.expect_error(400)?;
    let mut half = registration(&client.name("half"), "secret");
    half["info"] = json!(7);
    client.post("/users", &half).await?.expect_error(400)?;
    let found = alice.get(&format!("/users/friends?username={}", client.name("half"))).await?;
    found.expect_error(404)?;
    ensure_eq!(alice.get("/users/me").await?.text, before);
    ensure_eq!(bob.poll().await?.0, [Value::Null; 0]);
    ensure!(before.contains("public_key"), "the profile has no public key: {before}");
    Ok(())
}
