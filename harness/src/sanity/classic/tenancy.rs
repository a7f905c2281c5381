use anyhow::ensure;
use serde_json::Value;

use crate::client::{Client, contents};
use crate::sanity::ensure_eq;

pub(super) async fn only_its_owner_reads_a_mailbox(client: Client) -> anyhow::Result<()> {
    let (alice, bob, carol) = (client.user("alice").await?, client.user("bob").await?, client.user("carol").await?);
    alice.write(&bob, "for bob").await?;
    alice.write(&carol, "for carol").await?;
    ensure_eq!(contents(&bob.poll().await?.0), ["for bob"]);
    ensure_eq!(contents(&carol.poll().await?.0), ["for carol"]);
    ensure_eq!(alice.poll().await?.0, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn only_its_owner_empties_a_mailbox(client: Client) -> anyhow::Result<()> {
    let (alice, bob, carol) = (client.user("alice").await?, client.user("bob").await?, client.user("carol").await?);
    alice.write(&bob, "for bob").await?;
    let (_, query_time) = bob.poll_until_old(1).await?;
    for other in [&alice, &carol] {
        ensure_eq!(other.delete_until(query_time).await?, 0);
    }
    ensure_eq!(contents(&bob.poll().await?.0), ["for bob"]);
    ensure_eq!(bob.delete_until(query_time).await?, 1);
    Ok(())
}

pub(super) async fn only_its_owner_sees_the_vault(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let found = alice.get(&format!("/users/friends?username={}", bob.name)).await?;
    found.expect(200)?;
    for secret in ["private", "info", "password", "argon2"] {
        ensure!(!found.text.contains(secret), "another user sees {secret}: {}", found.text);
    }
    Ok(())
}
