use anyhow::ensure;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, contents, id_of, message, send, sequences};
use crate::sanity::ensure_eq;

pub(super) async fn only_its_own_device_reads_a_mailbox(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let carol = client.account("carol").await?;
    let mut of_carol = carol.stream("").await?;
    alice.write_to(&[(&bob, "for bob"), (&alice, "for alice")]).await?;
    alice.write(&bob, "for bob again").await?;
    ensure_eq!(contents(&bob.messages().await?), ["for bob", "for bob again"]);
    ensure_eq!(contents(&alice.messages().await?), ["for alice"]);
    for query in ["", "?after=0", "?after=0&limit=1000", "?device_id=1"] {
        let page = carol.page(query).await?;
        ensure_eq!((&page["messages"], &page["up_to"]), (&json!([]), &json!(0)));
    }
    // The first event of the stream is the message to carol: the stream has no message to another user.
    alice.write(&carol, "for carol").await?;
    ensure_eq!(of_carol.take(1).await?[0].data["contents"], "for carol");
    Ok(())
}

pub(super) async fn only_its_own_device_acknowledges_a_mailbox(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = alice.another().await?;
    for text in ["one", "two"] {
        alice.write(&bob, text).await?;
    }
    // The error does not reveal the newest number of another mailbox.
    for other in [&alice, &laptop] {
        let page = other.page("").await?;
        for up_to in [1, 2] {
            let refused = other.post("/v1/mailbox/ack", &json!({ "up_to": up_to, "device_id": bob.id })).await?;
            refused.expect_mailbox_problem("beyond_mailbox", &["up_to"], &page)?;
        }
    }
    ensure_eq!(sequences(&bob.messages().await?), [1, 2]);
    Ok(())
}

pub(super) async fn only_their_user_lists_and_ends_sessions(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = alice.another().await?;
    for session in [&alice, &laptop] {
        let refused = bob.delete(&format!("/v1/sessions/{}", session.session)).await?;
        refused.expect_problem("session_not_found", &[])?;
        session.ensure_alive().await?;
    }
    let listed = bob.get("/v1/sessions").await?.expect(200)?;
    ensure_eq!(listed["sessions"].as_array().map(Vec::len), Some(1));
    ensure_eq!(id_of(&listed["sessions"][0])?, bob.session);
    Ok(())
}

pub(super) async fn only_their_user_lists_and_deletes_devices(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = alice.another().await?;
    for device in [&alice, &laptop] {
        let refused = bob.delete(&format!("/v1/devices/{}", device.id)).await?;
        refused.expect_problem("device_not_found", &[])?;
        device.ensure_alive().await?;
    }
    let listed = bob.get("/v1/devices").await?.expect(200)?;
    ensure_eq!(listed["devices"].as_array().map(Vec::len), Some(1));
    ensure_eq!(id_of(&listed["devices"][0])?, bob.id);
    Ok(())
}

pub(super) async fn only_its_owner_sees_the_vault(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    bob.patch("/v1/users/me", &json!({ "private_key": "a private thing", "info": "a private thing" })).await?;
    alice.write(&bob, "foo").await?;
    for path in [format!("/v1/users/{}", bob.name), format!("/v1/users?prefix={}", bob.name)] {
        let found = alice.get(&path).await?;
        found.expect(200)?;
        for secret in ["private", "info", "password", "argon2", "token", "device"] {
            ensure!(!found.text.contains(secret), "another user sees {secret}: {}", found.text);
        }
    }
    Ok(())
}

pub(super) async fn only_the_user_itself_changes_its_profile(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let before = bob.get("/v1/users/me").await?;
    let change = json!({ "id": bob.user_id, "username": bob.name, "info": "mallory was here" });
    alice.patch("/v1/users/me", &change).await?.expect(200)?;
    for method in [Method::PATCH, Method::DELETE, Method::PUT] {
        let refused = send(alice.request(method, &format!("/v1/users/{}", bob.name)).json(&change)).await?;
        refused.expect_problem("method_not_allowed", &[])?;
    }
    let password = json!({ "old_password": bob.password, "new_password": "new", "username": bob.name });
    alice.put("/v1/users/me/password", &password).await?.expect_problem("wrong_password", &[])?;
    let after = bob.get("/v1/users/me").await?;
    ensure_eq!((after.text, after.headers.get("etag")), (before.text, before.headers.get("etag")));
    bob.again().await?;
    Ok(())
}

pub(super) async fn an_idempotency_key_reveals_nothing_about_sends_of_other_users(
    client: Client,
) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let mut ids = Vec::new();
    for (sender, body) in [(&alice, message(&[(&bob, "one")])), (&bob, message(&[(&alice, "two")]))] {
        let request = sender.request(Method::POST, "/v1/messages").header("idempotency-key", "key");
        ids.push(id_of(&send(request.json(&body)).await?.expect(201)?)?);
    }
    ensure!(ids[0] != ids[1], "both messages have the id {}", ids[0]);
    ensure_eq!(contents(&alice.messages().await?), ["two"]);
    ensure_eq!(contents(&bob.messages().await?), ["one"]);
    Ok(())
}

pub(super) async fn a_sender_cannot_be_forged(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let mut body = message(&[(&bob, "foo")]);
    body["sender"] = json!(bob.name);
    body["sender_device_id"] = json!(bob.id);
    alice.post("/v1/messages", &body).await?.expect(201)?;
    let messages = bob.messages().await?;
    ensure_eq!((&messages[0]["sender"], &messages[0]["sender_device_id"]), (&json!(alice.name), &json!(alice.id)));
    ensure_eq!(alice.messages().await?, [Value::Null; 0]);
    Ok(())
}
