use serde_json::Value;

use crate::client::{Client, contents};
use crate::sanity::ensure_eq;

pub(super) async fn polling_deletes_nothing(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    alice.write(&bob, "foo").await?;
    for _ in 0..3 {
        ensure_eq!(contents(&bob.poll().await?.0), ["foo"]);
    }
    Ok(())
}

/// This check is from the sanity suite of the first version of Woosh.
pub(super) async fn a_message_sent_between_poll_and_delete_remains(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    alice.write(&bob, "foo").await?;
    let (messages, query_time) = bob.poll_until_old(1).await?;
    ensure_eq!(contents(&messages), ["foo"]);
    alice.write(&bob, "bar").await?;
    ensure_eq!(bob.delete_until(query_time).await?, 1);
    ensure_eq!(contents(&bob.poll().await?.0), ["bar"]);
    Ok(())
}

pub(super) async fn deleting_unpolled_messages_counts_them(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    ensure_eq!(bob.delete_until(i64::MAX).await?, 0);
    for text in ["one", "two", "three"] {
        alice.write(&bob, text).await?;
    }
    for earlier in [i64::MIN, -1, 0, 1_000_000_000] {
        ensure_eq!(bob.delete_until(earlier).await?, 0);
    }
    ensure_eq!(bob.delete_until(i64::MAX).await?, 3);
    ensure_eq!(bob.delete_until(i64::MAX).await?, 0);
    ensure_eq!(bob.poll().await?.0, [Value::Null; 0]);
    Ok(())
}

pub(super) async fn the_second_of_until_is_excluded(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    let sent_at = alice.write(&bob, "foo").await?["sent_at"].as_i64().unwrap_or_default();
    ensure_eq!(bob.delete_until(sent_at).await?, 0);
    ensure_eq!(bob.delete_until(sent_at + 1).await?, 1);
    Ok(())
}

pub(super) async fn the_parameter_must_be_an_integer(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.user("alice").await?, client.user("bob").await?);
    alice.write(&bob, "foo").await?;
    for query in ["", "?", "?until=", "?until=soon", "?until=1.5", "?until=9223372036854775808", "?since=1"] {
        bob.delete(&format!("/messages{query}")).await?.expect_error_with(400, &["until"])?;
    }
    ensure_eq!(contents(&bob.poll().await?.0), ["foo"]);
    Ok(())
}
