use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use crate::client::{Client, Device, id_of};
use crate::sanity::ensure_eq;

use super::times::ensure_time;

pub(super) async fn a_login_opens_a_session_on_a_new_device(client: Client) -> anyhow::Result<()> {
    let alice = client.account("Alice").await?;
    let mut login = alice.login();
    login["username"] = json!(alice.name.to_uppercase());
    login["device_name"] = json!("laptop");
    let opened = client.post("/v1/sessions", &login).await?.expect(201)?;
    let (device, session) = (&opened["device"], &opened["session"]);
    ensure_time(&device["created_at"])?;
    ensure_time(&session["created_at"])?;
    let expected = json!({
        "user_id": alice.user_id,
        "username": alice.name,
        "device": {
            "id": id_of(device)?,
            "name": "laptop",
            "created_at": device["created_at"],
            "current": true,
        },
        "session": {
            "id": id_of(session)?,
            "device_id": device["id"],
            "created_at": session["created_at"],
            "current": true,
        },
        "token": opened["token"],
    });
    ensure_eq!(opened, expected);
    ensure!(device["id"] != alice.id, "the login did not create a new device");
    ensure!(
        opened["token"] != json!(alice.token) && session["id"] != alice.session,
        "the login did not open a new session"
    );
    Ok(())
}

pub(super) async fn a_login_can_name_an_existing_device_of_the_user(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let laptop = alice.another().await?;
    for own in [&alice, &laptop] {
        let again = own.again().await?;
        ensure_eq!(again.id, own.id);
        ensure!(again.session != own.session && again.token != own.token, "the login did not open a new session");
        again.ensure_alive().await?;
        own.ensure_alive().await?;
    }
    Ok(())
}

pub(super) async fn a_login_that_names_a_foreign_device_creates_a_new_one(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    bob.write(&alice, "for alice").await?;
    for other in [alice.id, i64::MAX, 0, -1] {
        let mut login = bob.login();
        login["device_id"] = json!(other);
        let new = client.log_in(&login).await?;
        ensure!(new.id != alice.id && new.id != bob.id, "the login used the device {}", new.id);
        ensure_eq!(new.messages().await?, [Value::Null; 0]);
    }
    Ok(())
}

pub(super) async fn wrong_credentials_get_identical_responses(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let nobody = client.name("nobody");
    let attempts = [
        (alice.name.as_str(), "wrong"),
        (&nobody, &alice.password),
        ("no name at all!", &alice.password),
        ("", &alice.password),
    ];
    let mut texts = Vec::new();
    for (username, password) in attempts {
        let refused = client.post("/v1/sessions", &json!({ "username": username, "password": password })).await?;
        refused.expect_problem("wrong_credentials", &[])?;
        texts.push(refused.text);
    }
    ensure!(texts.windows(2).all(|pair| pair[0] == pair[1]), "the responses differ: {texts:?}");
    Ok(())
}

pub(super) async fn a_missing_or_invalid_field_is_named(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    for field in ["username", "password"] {
        let mut body = alice.login();
        body.as_object_mut().map(|body| body.remove(field));
        client.post("/v1/sessions", &body).await?.expect_problem("invalid_request", &[field])?;
        for wrong in [json!(7), json!(["x"]), Value::Null] {
            body[field] = wrong;
            client.post("/v1/sessions", &body).await?.expect_problem("invalid_request", &[field])?;
        }
    }
    let wrong = [
        ("device_id", json!("7"), ""),
        ("device_id", json!(1.5), ""),
        ("device_id", json!([]), ""),
        ("device_name", json!(7), ""),
        ("device_name", json!("x".repeat(129)), "128"),
        ("password", json!("x".repeat(4097)), "4096"),
    ];
    for (field, value, limit) in wrong {
        let mut body = alice.login();
        body[field] = value;
        client.post("/v1/sessions", &body).await?.expect_problem("invalid_request", &[field, limit])?;
    }
    ensure_eq!(alice.get("/v1/devices").await?.expect(200)?["devices"].as_array().map(Vec::len), Some(1));
    Ok(())
}

pub(super) async fn the_list_contains_each_session_and_marks_the_current_one(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let sessions = [alice.clone(), alice.again().await?, alice.another().await?];
    for asking in &sessions {
        let listed = list(asking).await?;
        ensure_eq!(listed.len(), sessions.len());
        for (session, listed) in sessions.iter().zip(listed) {
            ensure_time(&listed["created_at"])?;
            let expected = json!({
                "id": session.session,
                "device_id": session.id,
                "created_at": listed["created_at"],
                "current": session.session == asking.session,
            });
            ensure_eq!(listed, expected);
        }
    }
    Ok(())
}

pub(super) async fn an_ended_session_is_rejected_at_once_by_every_replica(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let (again, laptop) = (alice.again().await?, alice.another().await?);
    for session in [&alice, &again, &laptop] {
        session.ensure_alive().await?;
    }
    alice.delete(&format!("/v1/sessions/{}", again.session)).await?.expect_no_content()?;
    again.ensure_ended().await?;
    laptop.delete("/v1/sessions/current").await?.expect_no_content()?;
    laptop.ensure_ended().await?;
    alice.ensure_alive().await?;
    ensure_eq!(list(&alice).await?.iter().map(id_of).collect::<anyhow::Result<Vec<_>>>()?, [alice.session]);
    // The device still exists after its session has ended: a login can use it.
    ensure_eq!(laptop.again().await?.id, laptop.id);

    alice.delete(&format!("/v1/sessions/{}", alice.session)).await?.expect_no_content()?;
    alice.ensure_ended().await
}

pub(super) async fn an_unknown_session_is_not_found(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let again = alice.again().await?;
    let path = format!("/v1/sessions/{}", again.session);
    alice.delete(&path).await?.expect_no_content()?;
    for path in [path.as_str(), "/v1/sessions/0", "/v1/sessions/-1", "/v1/sessions/9223372036854775807"] {
        alice.delete(path).await?.expect_problem("session_not_found", &[])?;
    }
    alice.ensure_alive().await
}

/// Lists the sessions of the user who owns the device `asking`, oldest first.
async fn list(asking: &Device) -> anyhow::Result<Vec<Value>> {
    let answer = asking.get("/v1/sessions").await?.expect(200)?;
    Ok(answer["sessions"].as_array().context("sessions is not an array")?.clone())
}
