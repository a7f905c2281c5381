use anyhow::ensure;
use serde_json::{Value, json};

use crate::client::{Client, registration};
use crate::sanity::ensure_eq;

pub(super) async fn a_user_registers_and_reads_its_profile(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let profile = alice.get("/users/me").await?.expect(200)?;
    let expected = json!({
        "id": alice.id,
        "username": alice.name,
        "public_key": "a public key",
        "private_key": "a private key",
        "info": "",
    });
    ensure_eq!(profile, expected);

    let mut with_info = registration(&client.name("bob"), "secret");
    with_info["info"] = json!("likes tea");
    let bob = client.post("/users", &with_info).await?.expect(201)?;
    ensure_eq!(bob["info"], "likes tea");

    let mut without = registration(&client.name("carol"), "secret");
    without["info"] = Value::Null;
    let carol = client.post("/users", &without).await?.expect(201)?;
    ensure_eq!(carol["info"], "");
    Ok(())
}

pub(super) async fn a_username_is_3_to_32_letters_digits_underscores_and_hyphens(client: Client) -> anyhow::Result<()> {
    let unique = client.name("");
    let longest = format!("{unique}{}", "x".repeat(32 - unique.len()));
    for name in [client.name("Az_9"), longest.clone()] {
        let user = client.post("/users", &registration(&name, "secret")).await?.expect(201)?;
        ensure_eq!(user["username"], name);
    }
    let too_long = format!("{longest}x");
    for name in ["", "ab", &too_long, "has space", "roysom!@?$", "élise", "new\nline", "nul\0nul"] {
        let refused = client.post("/users", &registration(name, "secret")).await?;
        refused.expect_error_with(400, &["username"])?;
    }
    Ok(())
}

pub(super) async fn a_taken_username_is_refused_in_any_case(client: Client) -> anyhow::Result<()> {
    let alice = client.user("Alice").await?;
    for name in [alice.name.clone(), alice.name.to_lowercase(), alice.name.to_uppercase()] {
        let refused = client.post("/users", &registration(&name, "other")).await?;
        refused.expect_error_with(400, &["username", "taken"])?;
    }
    ensure_eq!(alice.get("/users/me").await?.expect(200)?["username"], alice.name);
    Ok(())
}

pub(super) async fn a_missing_or_invalid_field_is_named(client: Client) -> anyhow::Result<()> {
    let whole = registration(&client.name("alice"), "secret");
    for field in ["username", "password", "public_key", "private_key"] {
        let mut body = whole.clone();
        body.as_object_mut().map(|body| body.remove(field));
        client.post("/users", &body).await?.expect_error_with(400, &[field])?;
        for wrong in [json!(7), json!(true), json!(["x"]), json!({"x": "y"}), Value::Null] {
            body[field] = wrong;
            client.post("/users", &body).await?.expect_error_with(400, &[field])?;
        }
    }
    let mut body = whole.clone();
    body["info"] = json!(7);
    client.post("/users", &body).await?.expect_error_with(400, &["info"])?;
    body["info"] = json!("");
    for unsendable in ["", " space", "space ", "line\nbreak", "nul\0"] {
        body["password"] = json!(unsendable);
        client.post("/users", &body).await?.expect_error_with(400, &["password"])?;
    }

    body["password"] = json!("secret");
    body["something_new"] = json!([1, 2, 3]);
    client.post("/users", &body).await?.expect(201)?;
    Ok(())
}

pub(super) async fn a_field_is_accepted_up_to_its_limit_and_an_error_names_both(client: Client) -> anyhow::Result<()> {
    let limits = [("public_key", 16 * 1024), ("private_key", 64 * 1024), ("info", 64 * 1024), ("password", 4096)];
    let mut body = registration(&client.name("alice"), "secret");
    for (field, limit) in limits {
        let mut too_long = body.clone();
        too_long[field] = json!("x".repeat(limit + 1));
        client.post("/users", &too_long).await?.expect_error_with(400, &[field, &limit.to_string()])?;
        body[field] = json!("x".repeat(limit));
    }
    let user = client.post("/users", &body).await?.expect(201)?;
    for (field, limit) in limits.into_iter().filter(|(field, _)| *field != "password") {
        ensure_eq!(user[field].as_str().map(str::len), Some(limit));
    }
    // The limits of fields count decoded bytes, so escapes may make the body much longer.
    let mut escaped = registration(&client.name("bob"), "secret");
    for field in ["private_key", "info"] {
        escaped[field] = json!("\0".repeat(64 * 1024));
    }
    let user = client.post("/users", &escaped).await?.expect(201)?;
    ensure_eq!(user["info"], escaped["info"]);
    Ok(())
}

pub(super) async fn the_keys_and_messages_of_the_original_client_fit(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let mut body = registration(&client.name("bob"), "secret");
    body["private_key"] = json!("k".repeat(4440));
    client.post("/users", &body).await?.expect(201)?;
    let message = json!({ "recipient": body["username"], "contents": "c".repeat(4952) });
    alice.post("/messages", &message).await?.expect(201)?;
    Ok(())
}

pub(super) async fn ids_are_distinct_integers(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    ensure!(alice.id != bob.id, "both users have the id {}", alice.id);
    let one = alice.write(&bob, "one").await?;
    let two = alice.write(&bob, "two").await?;
    ensure!(
        one["id"].is_i64() && two["id"].is_i64(),
        "the ids of the messages are not both integers: {} and {}",
        one["id"],
        two["id"]
    );
    ensure!(one["id"] != two["id"], "both messages have the id {}", one["id"]);
    Ok(())
}
