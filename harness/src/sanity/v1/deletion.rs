use serde_json::{Value, json};

use crate::client::{Client, contents, message, registration};
use crate::sanity::ensure_eq;

const ME: &str = "/v1/users/me";

pub(super) async fn all_sessions_of_the_user_end_at_once(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (again, laptop) = (alice.again().await?, alice.another().await?);
    for session in [&alice, &again, &laptop, &bob] {
        session.ensure_alive().await?;
    }
    laptop.delete(ME).await?.expect_no_content()?;
    for ended in [&alice, &again, &laptop] {
        ended.ensure_ended().await?;
    }
    bob.ensure_alive().await
}

pub(super) async fn a_deleted_user_is_not_found(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let classic = bob.classic();
    alice.delete(ME).await?.expect_no_content()?;
    for _ in 0..client.replicas() {
        bob.get(&format!("/v1/users/{}", alice.name)).await?.expect_problem("user_not_found", &[])?;
    }
    let found = bob.get(&format!("/v1/users?prefix={}", alice.name)).await?.expect(200)?;
    ensure_eq!(found, json!({ "users": [], "has_more": false }));
    classic.get(&format!("/users/friends?username={}", alice.name)).await?.expect_error(404)?;
    Ok(())
}

pub(super) async fn a_deleted_user_cannot_log_in(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let classic = alice.classic();
    for _ in 0..client.replicas() {
        alice.again().await?;
        classic.get("/users/me").await?.expect(200)?;
    }
    alice.delete(ME).await?.expect_no_content()?;
    for _ in 0..client.replicas() {
        client.post("/v1/sessions", &alice.login()).await?.expect_problem("wrong_credentials", &[])?;
        classic.get("/users/me").await?.expect_error(401)?;
    }
    Ok(())
}

pub(super) async fn the_username_of_a_deleted_user_stays_taken(client: Client) -> anyhow::Result<()> {
    let alice = client.account("Alice").await?;
    alice.delete(ME).await?.expect_no_content()?;
    for name in [alice.name.clone(), alice.name.to_lowercase(), alice.name.to_uppercase()] {
        let body = registration(&name, "other");
        client.post("/v1/users", &body).await?.expect_problem("username_taken", &["username"])?;
        client.post("/users", &body).await?.expect_error_with(400, &["username", "taken"])?;
    }
    Ok(())
}

pub(super) async fn messages_from_a_deleted_user_remain(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    alice.write_to(&[(&alice, "to myself"), (&bob, "to bob")]).await?;
    let before = bob.messages().await?;
    alice.delete(ME).await?.expect_no_content()?;
    ensure_eq!(bob.messages().await?, before);
    ensure_eq!(before[0]["sender"], alice.name);
    ensure_eq!(contents(&before), ["to bob"]);
    ensure_eq!(bob.acknowledge(1).await?, 1);
    Ok(())
}

pub(super) async fn a_send_to_a_deleted_user_is_refused(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    bob.write(&alice, "read by nobody").await?;
    alice.delete(ME).await?.expect_no_content()?;
    let to_both = message(&[(&bob, "lost"), (&alice, "lost")]);
    let refused = bob.post("/v1/messages", &to_both).await?;
    refused.expect_problem("recipient_not_found", &[&alice.name])?;
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);
    let lost = json!({ "recipient": alice.name, "contents": "lost" });
    bob.classic().post("/messages", &lost).await?.expect_error_with(404, &["recipient"])
}
