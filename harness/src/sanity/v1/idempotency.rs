use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::client::{ApiResponse, Client, Device, contents, message, send};
use crate::sanity::ensure_eq;

const HEADER: &str = "idempotency-key";

pub(super) async fn a_repeated_key_returns_the_first_response_and_stores_one_message(
    client: Client,
) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = message(&[(&bob, "foo")]);
    let first = keyed(&alice, "\"key\"", &body).await?;
    first.expect(201)?;
    // These requests are the same as the first: quotes are not part of the key, usernames are compared ignoring case,
    // and unknown fields are ignored.
    let mut spelled = body.clone();
    spelled["recipients"][0]["username"] = json!(bob.name.to_uppercase());
    spelled["something_new"] = json!(7);
    for (key, body) in [("\"key\"", &body), ("key", &body), ("key", &spelled)] {
        let again = keyed(&alice, key, body).await?;
        again.expect(201)?;
        ensure_eq!(again.text, first.text);
    }
    ensure_eq!(bob.messages().await?.len(), 1);
    // The key is still known after the message was acknowledged.
    bob.acknowledge(1).await?;
    ensure_eq!(keyed(&alice, "key", &body).await?.text, first.text);
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn concurrent_sends_with_one_key_store_one_message(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = message(&[(&bob, "foo"), (&alice, "bar")]);
    let answers = try_join_all((0..50).map(|_| keyed(&alice, "key", &body))).await?;
    for answer in &answers {
        answer.expect(201)?;
        ensure_eq!(answer.text, answers[0].text);
    }
    ensure_eq!(contents(&bob.messages().await?), ["foo"]);
    ensure_eq!(contents(&alice.messages().await?), ["bar"]);
    Ok(())
}

pub(super) async fn a_different_send_with_the_same_key_is_refused(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = message(&[(&bob, "foo")]);
    let first = keyed(&alice, "key", &body).await?;
    first.expect(201)?;
    let mut ttl = body.clone();
    ttl["ttl_seconds"] = json!(60);
    let both = message(&[(&bob, "foo"), (&alice, "foo")]);
    for other in [&ttl, &both, &message(&[(&bob, "fob")]), &message(&[(&alice, "foo")])] {
        keyed(&alice, "key", other).await?.expect_problem("idempotency_key_reused", &[])?;
    }
    ensure_eq!(bob.messages().await?.len(), 1);
    // Keys are case-sensitive.
    keyed(&alice, "KEY", &both).await?.expect(201)?;
    ensure_eq!(keyed(&alice, "key", &body).await?.text, first.text);
    ensure_eq!(bob.messages().await?.len(), 2);
    Ok(())
}

pub(super) async fn a_key_belongs_to_its_device(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (laptop, again) = (alice.another().await?, alice.again().await?);
    let body = message(&[(&bob, "foo")]);
    let first = keyed(&alice, "key", &body).await?;
    let ids = [&first, &keyed(&laptop, "key", &body).await?, &keyed(&bob, "key", &body).await?]
        .map(|answer| answer.expect(201).map(|receipt| receipt["id"].as_i64()));
    let [one, two, three] = ids;
    let (one, two, three) = (one?, two?, three?);
    ensure!(
        one != two && one != three && two != three,
        "the three sends do not have three ids: {one:?}, {two:?} and {three:?}"
    );
    // Another session of the same device shares the key.
    ensure_eq!(keyed(&again, "key", &body).await?.text, first.text);
    ensure_eq!(bob.messages().await?.len(), 3);
    Ok(())
}

pub(super) async fn a_key_is_1_to_255_visible_ascii_characters(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let body = message(&[(&bob, "foo")]);
    let (longest, too_long) = ("k".repeat(255), "k".repeat(256));
    for bad in ["", "\"\"", "\"", "\"half", "two words", "\"two words\"", &too_long, &format!("\"{too_long}\"")] {
        keyed(&alice, bad, &body).await?.expect_problem("invalid_request", &["Idempotency-Key"])?;
    }
    let beyond_ascii = alice.request(Method::POST, "/v1/messages").header(HEADER, "schlüssel".as_bytes());
    send(beyond_ascii.json(&body)).await?.expect_problem("invalid_request", &["Idempotency-Key"])?;
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);

    for good in ["k", &longest, "8e03978e-40d5-43dd-bc93-6894a57f9324", "!#$%&'()*+,-./:;<=>?@[]^_`{|}~"] {
        let bare = keyed(&alice, good, &body).await?;
        bare.expect(201)?;
        ensure_eq!(keyed(&alice, &format!("\"{good}\""), &body).await?.text, bare.text);
    }
    ensure_eq!(bob.messages().await?.len(), 4);
    Ok(())
}

pub(super) async fn a_failed_send_does_not_use_up_its_key(client: Client) -> anyhow::Result<()> {
    let (alice, name) = (client.account("alice").await?, client.name("bob"));
    let body = json!({ "recipients": [{ "username": name, "contents": "foo" }] });
    keyed(&alice, "key", &body).await?.expect_problem("recipient_not_found", &[&name])?;
    keyed(&alice, "key", &json!({ "recipients": [] })).await?.expect_problem("invalid_request", &["recipients"])?;
    let bob = client.account("bob").await?;
    keyed(&alice, "key", &body).await?.expect(201)?;
    ensure_eq!(contents(&bob.messages().await?), ["foo"]);
    Ok(())
}

pub(super) async fn a_send_whose_response_was_lost_can_be_retried(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let texts: Vec<_> = (0..8).map(|number| format!("message {number}")).collect();
    for (number, text) in texts.iter().enumerate() {
        let (key, body) = (format!("key-{number}"), message(&[(&bob, text)]));
        let connection = unread(&alice, &key, &body).await?;
        // Loses half of the responses after the message was stored, and the other half at a random moment.
        let stored = if number % 2 == 0 {
            let page = bob.page(&format!("?after={number}&wait=20")).await?;
            Some(page["messages"][0]["id"].clone())
        } else {
            None
        };
        drop(connection);
        let receipt = keyed(&alice, &key, &body).await?.expect(201)?;
        ensure!(stored.is_none_or(|id| id == receipt["id"]), "the retry returned the id of another message");
    }
    ensure_eq!(contents(&bob.messages().await?), texts);
    Ok(())
}

async fn keyed(sender: &Device, key: &str, body: &Value) -> anyhow::Result<ApiResponse> {
    send(sender.request(Method::POST, "/v1/messages").header(HEADER, key).json(body)).await
}

/// Sends a message with the idempotency key `key`, and returns the connection without reading the response.
async fn unread(sender: &Device, key: &str, body: &Value) -> anyhow::Result<TcpStream> {
    let host = sender.client.url().strip_prefix("http://").context("the check needs a URL that starts with http://")?;
    let body = body.to_string();
    let head = [
        "POST /v1/messages HTTP/1.1".to_owned(),
        format!("Host: {host}"),
        format!("Authorization: Bearer {}", sender.token),
        "Content-Type: application/json".to_owned(),
        format!("Idempotency-Key: {key}"),
        format!("Content-Length: {}", body.len()),
    ];
    let mut connection = TcpStream::connect(host).await?;
    connection.write_all(format!("{}\r\n\r\n{body}", head.join("\r\n")).as_bytes()).await?;
    Ok(connection)
}
