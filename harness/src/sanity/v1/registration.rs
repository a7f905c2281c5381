use anyhow::ensure;
use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::client::{Client, id_of, registration};
use crate::sanity::ensure_eq;

use super::times::ensure_time;

pub(super) async fn a_user_registers_and_is_logged_in_on_a_first_device(client: Client) -> anyhow::Result<()> {
    let mut body = registration(&client.name("Alice"), "secret");
    body["info"] = json!("likes tea");
    body["device_name"] = json!("Alice's \u{1F4F1}");
    let answer = client.post("/v1/users", &body).await?;
    let registered = answer.expect(201)?;
    let (user, device, session) = (&registered["user"], &registered["device"], &registered["session"]);
    ensure_time(&device["created_at"])?;
    ensure_time(&session["created_at"])?;
    let expected = json!({
        "user": {
            "id": id_of(user)?,
            "username": body["username"],
            "public_key": "a public key",
            "private_key": "a private key",
            "info": "likes tea",
        },
        "device": {
            "id": id_of(device)?,
            "name": "Alice's \u{1F4F1}",
            "created_at": device["created_at"],
            "current": true,
        },
        "session": {
            "id": id_of(session)?,
            "device_id": device["id"],
            "created_at": session["created_at"],
            "current": true,
        },
        "token": registered["token"],
    });
    ensure_eq!(registered, expected);
    ensure_eq!(answer.header(LOCATION)?, format!("/v1/users/{}", client.name("Alice")));

    let token = registered["token"].as_str().unwrap_or_default();
    let is_hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    ensure!(token.len() == 64 && is_hex, "the token is not 64 hexadecimal digits, but {} bytes", token.len());
    Ok(())
}

pub(super) async fn the_first_token_is_accepted(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    alice.ensure_alive().await?;
    ensure_eq!(alice.get("/v1/users/me").await?.expect(200)?["username"], alice.name);
    Ok(())
}

pub(super) async fn optional_fields_may_be_omitted(client: Client) -> anyhow::Result<()> {
    let least = json!({ "username": client.name("alice"), "password": "secret", "public_key": "" });
    let mut nulls = least.clone();
    nulls["username"] = json!(client.name("bob"));
    for field in ["private_key", "info", "device_name"] {
        nulls[field] = Value::Null;
    }
    nulls["something_new"] = json!([1, 2, 3]);
    for body in [least, nulls] {
        let registered = client.post("/v1/users", &body).await?.expect(201)?;
        let id = id_of(&registered["user"])?;
        // `private_key` is absent, because the user has none.
        let expected = json!({ "id": id, "username": body["username"], "public_key": "", "info": "" });
        ensure_eq!(registered["user"], expected);
        ensure_eq!(registered["device"]["name"], "");
    }
    Ok(())
}

pub(super) async fn a_username_is_3_to_32_letters_digits_underscores_and_hyphens(client: Client) -> anyhow::Result<()> {
    let unique = client.name("");
    let longest = format!("{unique}{}", "x".repeat(32 - unique.len()));
    for name in [client.name("Az_9"), longest.clone()] {
        let registered = client.post("/v1/users", &registration(&name, "secret")).await?.expect(201)?;
        ensure_eq!(registered["user"]["username"], name);
    }
    let too_long = format!("{longest}x");
    let bad = ["has space", "roysom!@?$", "élise", "new\nline", "nul\0nul"].map(|name| (name, ""));
    for (name, limit) in [("", "3"), ("ab", "3"), ("me", "3"), (&too_long, "32")].into_iter().chain(bad) {
        let refused = client.post("/v1/users", &registration(name, "secret")).await?;
        refused.expect_problem("invalid_request", &["username", limit])?;
    }
    Ok(())
}

pub(super) async fn a_taken_username_is_refused_in_any_case_by_both_apis(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("Alice").await?, client.user("Bob").await?);
    for name in [&alice.name, &bob.name] {
        for spelling in [name.clone(), name.to_lowercase(), name.to_uppercase()] {
            let body = registration(&spelling, "other");
            client.post("/v1/users", &body).await?.expect_problem("username_taken", &["username"])?;
            client.post("/users", &body).await?.expect_error_with(400, &["username", "taken"])?;
        }
    }
    ensure_eq!(alice.get("/v1/users/me").await?.expect(200)?["username"], alice.name);
    Ok(())
}

pub(super) async fn concurrent_registrations_of_one_username_succeed_once(client: Client) -> anyhow::Result<()> {
    let body = registration(&client.name("alice"), "secret");
    let answers = futures_util::future::try_join_all((0..8).map(|_| client.post("/v1/users", &body))).await?;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    ensure_eq!(made.len(), 1);
    refused.iter().try_for_each(|answer| answer.expect_problem("username_taken", &["username"]))
}

pub(super) async fn a_missing_or_invalid_field_is_named(client: Client) -> anyhow::Result<()> {
    let whole = registration(&client.name("alice"), "secret");
    let wrong = || [json!(7), json!(true), json!(["x"]), json!({"x": "y"})];
    for field in ["username", "password", "public_key"] {
        let mut body = whole.clone();
        body.as_object_mut().map(|body| body.remove(field));
        client.post("/v1/users", &body).await?.expect_problem("invalid_request", &[field])?;
        for wrong in wrong().into_iter().chain([Value::Null]) {
            body[field] = wrong;
            client.post("/v1/users", &body).await?.expect_problem("invalid_request", &[field])?;
        }
    }
    for field in ["private_key", "info", "device_name"] {
        for wrong in wrong() {
            let mut body = whole.clone();
            body[field] = wrong;
            client.post("/v1/users", &body).await?.expect_problem("invalid_request", &[field])?;
        }
    }
    let mut body = whole.clone();
    body["password"] = json!("");
    client.post("/v1/users", &body).await?.expect_problem("invalid_request", &["password"])?;
    // No refused request has taken the username.
    client.post("/v1/users", &whole).await?.expect(201)?;
    Ok(())
}

pub(super) async fn a_field_is_accepted_up_to_its_limit_and_an_error_names_both(client: Client) -> anyhow::Result<()> {
    let limits = [
        ("public_key", 16 * 1024),
        ("private_key", 64 * 1024),
        ("info", 64 * 1024),
        ("device_name", 128),
        ("password", 4096),
    ];
    let mut body = registration(&client.name("alice"), "secret");
    for (field, limit) in limits {
        let mut too_long = body.clone();
        too_long[field] = json!("x".repeat(limit + 1));
        let refused = client.post("/v1/users", &too_long).await?;
        refused.expect_problem("invalid_request", &[field, &limit.to_string()])?;
        // The limit counts bytes, not characters.
        too_long[field] = json!("é".repeat(limit / 2 + 1));
        client.post("/v1/users", &too_long).await?.expect_problem("invalid_request", &[field])?;
        body[field] = json!("x".repeat(limit));
    }
    let registered = client.post("/v1/users", &body).await?.expect(201)?;
    for field in ["public_key", "private_key", "info"] {
        ensure_eq!(registered["user"][field], body[field]);
    }
    ensure_eq!(registered["device"]["name"], body["device_name"]);
    Ok(())
}
