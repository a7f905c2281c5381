use anyhow::ensure;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::client::{Client, contents, send};
use crate::sanity::ensure_eq;

pub(super) async fn a_message_arrives_unchanged(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("Bob").await?);
    let spelling = bob.name.to_lowercase();
    let sent = alice.post("/messages", &json!({ "recipient": spelling, "contents": "foo" })).await?.expect(201)?;
    let expected = json!({
        "id": sent["id"],
        "from_user": alice.name,
        "to_user": bob.name,
        "contents": "foo",
        "sent_at": sent["sent_at"],
    });
    ensure_eq!(sent, expected);
    ensure!(sent["sent_at"].is_i64(), "sent_at is not an integer: {}", sent["sent_at"]);
    let (messages, query_time) = bob.poll().await?;
    ensure_eq!(messages, std::slice::from_ref(&sent));
    ensure!(
        query_time >= sent["sent_at"].as_i64().unwrap_or(i64::MAX),
        "query_time {query_time} is before the sent_at of the message"
    );
    Ok(())
}

pub(super) async fn contents_are_delivered_byte_for_byte(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let longest = "x".repeat(64 * 1024);
    let texts =
        ["", " ", "\0", "\u{1}\u{7f}\u{80}\u{FFFF}\u{10FFFF}", "\u{1F54A} é", "\"\\/\r\n\t", "{\"a\":1}", &longest];
    for text in texts {
        ensure_eq!(alice.write(&bob, text).await?["contents"], text);
    }
    let (messages, _) = bob.poll().await?;
    ensure_eq!(contents(&messages), texts);
    Ok(())
}

pub(super) async fn the_content_type_does_not_matter(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let body = json!({ "recipient": bob.name, "contents": "foo" }).to_string();
    let types = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "nonsense", ""];
    for content_type in types {
        let request = alice.request(Method::POST, "/messages").header(CONTENT_TYPE, content_type);
        send(request.body(body.clone())).await?.expect(201)?;
    }
    send(alice.request(Method::POST, "/messages").body(body)).await?.expect(201)?;
    ensure_eq!(bob.poll().await?.0.len(), types.len() + 1);
    Ok(())
}

pub(super) async fn a_send_to_oneself_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    for spelling in [alice.name.clone(), alice.name.to_uppercase()] {
        let refused = alice.post("/messages", &json!({ "recipient": spelling, "contents": "foo" })).await?;
        refused.expect_error_with(400, &["recipient"])?;
    }
    ensure_eq!(alice.poll().await?.0, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn a_send_to_an_unknown_user_is_refused(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    for recipient in [client.name("nobody"), String::new(), "no name at all!".to_owned()] {
        let refused = alice.post("/messages", &json!({ "recipient": recipient, "contents": "foo" })).await?;
        refused.expect_error_with(404, &["recipient"])?;
    }
    Ok(())
}

pub(super) async fn a_missing_invalid_or_too_long_field_is_named(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    for field in ["recipient", "contents"] {
        let mut body = json!({ "recipient": bob.name, "contents": "foo" });
        body.as_object_mut().map(|body| body.remove(field));
        alice.post("/messages", &body).await?.expect_error_with(400, &[field])?;
        for wrong in [json!(7), json!(false), json!(["x"]), json!({"x": "y"}), Value::Null] {
            body[field] = wrong;
            alice.post("/messages", &body).await?.expect_error_with(400, &[field])?;
        }
    }
    let too_long = json!({ "recipient": bob.name, "contents": "x".repeat(64 * 1024 + 1) });
    alice.post("/messages", &too_long).await?.expect_error_with(400, &["contents", "65536"])?;
    ensure_eq!(bob.poll().await?.0, [Value::Null; 0]);
    Ok(())
}
