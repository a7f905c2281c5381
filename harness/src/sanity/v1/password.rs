use anyhow::ensure;
use serde_json::{Value, json};

use crate::client::Client;
use crate::sanity::ensure_eq;

const PASSWORD: &str = "/v1/users/me/password";

pub(super) async fn the_new_password_replaces_the_old_one(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let change = json!({ "old_password": alice.password, "new_password": "pässwörd \u{1F54A}" });
    alice.put(PASSWORD, &change).await?.expect_no_content()?;
    // Every replica must use the new password at once, even if it has cached the old one.
    for _ in 0..client.replicas() {
        client.post("/v1/sessions", &alice.login()).await?.expect_problem("wrong_credentials", &[])?;
    }
    client.log_in(&json!({ "username": alice.name, "password": "pässwörd \u{1F54A}" })).await?;
    Ok(())
}

pub(super) async fn a_change_ends_all_other_sessions(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (again, phone) = (alice.again().await?, alice.another().await?);
    for session in [&alice, &again, &phone, &bob] {
        session.ensure_alive().await?;
    }
    let change = json!({ "old_password": alice.password, "new_password": "new" });
    phone.put(PASSWORD, &change).await?.expect_no_content()?;
    for ended in [&alice, &again] {
        ended.ensure_ended().await?;
    }
    phone.ensure_alive().await?;
    bob.ensure_alive().await?;
    let left = phone.get("/v1/sessions").await?.expect(200)?;
    ensure_eq!(left["sessions"].as_array().map(Vec::len), Some(1));
    // The change ends sessions, but deletes no devices.
    ensure_eq!(phone.get("/v1/devices").await?.expect(200)?["devices"].as_array().map(Vec::len), Some(2));
    Ok(())
}

pub(super) async fn a_wrong_old_password_changes_nothing(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let phone = alice.another().await?;
    for wrong in ["wrong", &alice.password.to_uppercase(), &format!("{} ", alice.password)] {
        let change = json!({ "old_password": wrong, "new_password": "new" });
        alice.put(PASSWORD, &change).await?.expect_problem("wrong_password", &[])?;
    }
    phone.ensure_alive().await?;
    alice.again().await?;
    Ok(())
}

pub(super) async fn a_missing_or_invalid_field_is_named(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let whole = json!({ "old_password": alice.password, "new_password": "new" });
    for field in ["old_password", "new_password"] {
        let mut body = whole.clone();
        body.as_object_mut().map(|body| body.remove(field));
        alice.put(PASSWORD, &body).await?.expect_problem("invalid_request", &[field])?;
        for wrong in [json!(7), json!(["x"]), Value::Null] {
            body[field] = wrong;
            alice.put(PASSWORD, &body).await?.expect_problem("invalid_request", &[field])?;
        }
    }
    for (wrong, limit) in [(String::new(), ""), ("x".repeat(4097), "4096")] {
        let body = json!({ "old_password": alice.password, "new_password": wrong });
        alice.put(PASSWORD, &body).await?.expect_problem("invalid_request", &["new_password", limit])?;
    }
    alice.again().await?;
    Ok(())
}

pub(super) async fn concurrent_changes_succeed_once(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let phone = alice.another().await?;
    let change = |new: &str| json!({ "old_password": alice.password, "new_password": new });
    let (one, two) = (change("one"), change("two"));
    let (one, two) = tokio::try_join!(alice.put(PASSWORD, &one), phone.put(PASSWORD, &two))?;
    let (made, refused) = if one.status == 204 { ("one", two) } else { ("two", one) };
    // The second change is refused because of its old password (403), or because its session has ended already (401).
    ensure!(
        [401, 403].contains(&refused.status.as_u16()),
        "the second change was not refused with 401 or 403: {refused:?}"
    );
    for password in ["one", "two"] {
        let login = client.post("/v1/sessions", &json!({ "username": alice.name, "password": password })).await?;
        ensure_eq!(login.status == 201, password == made);
    }
    Ok(())
}

pub(super) async fn the_classic_api_uses_the_new_password(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let (old, mut new) = (alice.classic(), alice.classic());
    "new".clone_into(&mut new.password);
    for _ in 0..client.replicas() {
        old.get("/users/me").await?.expect(200)?;
    }
    let change = json!({ "old_password": alice.password, "new_password": "new" });
    alice.put(PASSWORD, &change).await?.expect_no_content()?;
    for _ in 0..client.replicas() {
        old.get("/users/me").await?.expect_error(401)?;
        new.get("/users/me").await?.expect(200)?;
    }
    Ok(())
}
