use anyhow::ensure;
use reqwest::Method;

use crate::client::{Client, registration, send};
use crate::sanity::ensure_eq;

pub(super) async fn the_right_credentials_are_accepted(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    // The server may take the second verification from its password cache.
    for _ in 0..2 {
        alice.get("/messages").await?.expect(200)?;
    }
    Ok(())
}

pub(super) async fn every_failure_gets_the_same_response(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    alice.get("/users/me").await?.expect(200)?;
    let nobody = client.name("nobody");
    let (name, password) = (alice.name.as_str(), alice.password.as_str());
    let attempts = [
        (None, None),
        (Some(name), None),
        (None, Some(password)),
        (Some(name), Some("wrong")),
        (Some(name), Some("")),
        (Some(&nobody), Some(password)),
        (Some("no name at all!"), Some(password)),
        (Some(""), Some("")),
    ];
    let mut texts = Vec::new();
    for (name, token) in attempts {
        let mut request = client.request(Method::GET, "/users/me");
        if let Some(name) = name {
            request = request.header("x-user-name", name);
        }
        if let Some(token) = token {
            request = request.header("x-user-token", token);
        }
        let refused = send(request).await?;
        refused.expect_error(401)?;
        texts.push(refused.text);
    }
    ensure!(texts.windows(2).all(|pair| pair[0] == pair[1]), "the responses differ: {texts:?}");
    Ok(())
}

pub(super) async fn a_username_is_accepted_in_any_case(client: Client) -> anyhow::Result<()> {
    let mut alice = client.user("Alice").await?;
    let registered = alice.name.clone();
    for spelling in [registered.to_lowercase(), registered.to_uppercase()] {
        alice.name = spelling;
        ensure_eq!(alice.get("/users/me").await?.expect(200)?["username"], registered);
    }
    Ok(())
}

pub(super) async fn a_non_ascii_password_is_accepted(client: Client) -> anyhow::Result<()> {
    let name = client.name("alice");
    client.post("/users", &registration(&name, "pässwörd \u{1F54A}")).await?.expect(201)?;
    let request = client.request(Method::GET, "/users/me").header("x-user-name", &name);
    send(request.header("x-user-token", "pässwörd \u{1F54A}".as_bytes())).await?.expect(200)?;
    Ok(())
}
