use serde_json::json;

use crate::client::Client;
use crate::sanity::ensure_eq;

pub(super) async fn a_user_is_found_by_its_exact_name_ignoring_case(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("Bob").await?);
    let expected = json!({ "id": bob.id, "username": bob.name, "public_key": "a public key" });
    for spelling in [bob.name.clone(), bob.name.to_lowercase(), bob.name.to_uppercase()] {
        let found = alice.get(&format!("/users/friends?username={spelling}")).await?.expect(200)?;
        ensure_eq!(found, expected);
    }
    Ok(())
}

pub(super) async fn a_partial_name_finds_no_user(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    let part = &alice.name[..alice.name.len() - 1];
    for name in [part, "alic%25", "*", "", "no%20name", &client.name("nobody")] {
        alice.get(&format!("/users/friends?username={name}")).await?.expect_error(404)?;
    }
    Ok(())
}

pub(super) async fn the_parameter_is_required(client: Client) -> anyhow::Result<()> {
    let alice = client.user("alice").await?;
    for query in ["", "?", "?name=alice"] {
        alice.get(&format!("/users/friends{query}")).await?.expect_error_with(400, &["username"])?;
    }
    Ok(())
}
