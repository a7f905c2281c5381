use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, send};
use crate::sanity::ensure_eq;

pub(super) async fn an_update_of_info_is_stored(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let before = alice.get("/users/me").await?.expect(200)?;
    for info in ["i am bea, i like tea", "", "\0 \u{1F54A} \"quoted\""] {
        let mut expected = before.clone();
        expected["info"] = json!(info);
        ensure_eq!(alice.post("/users/me", &json!({ "info": info })).await?.expect(200)?, expected);
        ensure_eq!(alice.get("/users/me").await?.expect(200)?, expected);
    }
    Ok(())
}

pub(super) async fn an_update_without_a_field_is_refused_and_changes_nothing(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    alice.post("/users/me", &json!({ "info": "before" })).await?.expect(200)?;
    send(alice.request(Method::POST, "/users/me")).await?.expect_error(400)?;
    for body in [json!({}), json!({ "info": Value::Null }), json!({ "username": "mallory" }), json!([]), json!("info")]
    {
        alice.post("/users/me", &body).await?.expect_error(400)?;
    }
    alice.post("/users/me", &json!({ "info": 7 })).await?.expect_error_with(400, &["info"])?;
    let too_long = json!({ "info": "x".repeat(64 * 1024 + 1) });
    alice.post("/users/me", &too_long).await?.expect_error_with(400, &["info", "65536"])?;
    ensure_eq!(alice.get("/users/me").await?.expect(200)?["info"], "before");
    Ok(())
}
