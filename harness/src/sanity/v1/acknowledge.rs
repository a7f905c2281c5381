use serde_json::{Value, json};

use crate::client::{Client, sequences};
use crate::sanity::ensure_eq;

use super::mailbox::filled;

pub(super) async fn exactly_the_messages_up_to_the_number_are_deleted(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 4).await?;
    ensure_eq!(bob.post("/v1/mailbox/ack", &json!({ "up_to": 1 })).await?.expect(200)?, json!({ "acknowledged": 1 }));
    ensure_eq!(sequences(&bob.messages().await?), [2, 3, 4]);
    ensure_eq!(bob.acknowledge(3).await?, 3);
    let page = bob.page("").await?;
    ensure_eq!(page["acknowledged"], 3);
    ensure_eq!(page["messages"][0]["contents"], "message 4");
    ensure_eq!(bob.acknowledge(4).await?, 4);
    let empty = json!({
        "messages": [],
        "gaps": [],
        "incarnation": page["incarnation"],
        "acknowledged": 4,
        "up_to": 4,
        "has_more": false,
    });
    ensure_eq!(bob.page("").await?, empty);
    ensure_eq!(bob.page("?after=0").await?, empty);
    Ok(())
}

pub(super) async fn acknowledging_the_same_or_less_changes_nothing(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 3).await?;
    ensure_eq!(bob.acknowledge(0).await?, 0);
    ensure_eq!(bob.messages().await?.len(), 3);
    bob.acknowledge(2).await?;
    let page = bob.page("").await?;
    for less in [2, 1, 0, 2] {
        ensure_eq!(bob.acknowledge(less).await?, 2);
        ensure_eq!(bob.page("").await?, page);
    }
    Ok(())
}

pub(super) async fn a_number_beyond_the_mailbox_is_refused_and_changes_nothing(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 2).await?;
    let page = bob.page("").await?;
    for beyond in [3, 100, i64::MAX] {
        let refused = bob.post("/v1/mailbox/ack", &json!({ "up_to": beyond })).await?;
        refused.expect_mailbox_problem("beyond_mailbox", &["up_to"], &page)?;
        ensure_eq!(bob.page("").await?, page);
    }
    // An empty mailbox, too, refuses a number above its newest one.
    bob.acknowledge(2).await?;
    let page = bob.page("").await?;
    let refused = bob.post("/v1/mailbox/ack", &json!({ "up_to": 3 })).await?;
    refused.expect_mailbox_problem("beyond_mailbox", &["up_to"], &page)
}

pub(super) async fn other_devices_keep_their_messages(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = bob.another().await?;
    for text in ["one", "two"] {
        alice.write_to(&[(&bob, text), (&alice, text)]).await?;
    }
    let others = (laptop.page("").await?, alice.page("").await?);
    ensure_eq!(bob.acknowledge(2).await?, 2);
    ensure_eq!(bob.messages().await?, [Value::Null; 0]);
    ensure_eq!((laptop.page("").await?, alice.page("").await?), others);
    ensure_eq!(laptop.acknowledge(1).await?, 1);
    ensure_eq!(sequences(&laptop.messages().await?), [2]);
    ensure_eq!(sequences(&alice.messages().await?), [1, 2]);
    Ok(())
}

pub(super) async fn a_missing_or_invalid_number_is_named(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 1).await?;
    bob.post("/v1/mailbox/ack", &json!({})).await?.expect_problem("invalid_request", &["up_to"])?;
    for wrong in [json!("1"), json!(1.5), json!([1]), json!(true), json!(u64::MAX), Value::Null] {
        let refused = bob.post("/v1/mailbox/ack", &json!({ "up_to": wrong })).await?;
        refused.expect_problem("invalid_request", &["up_to"])?;
    }
    ensure_eq!(sequences(&bob.messages().await?), [1]);
    Ok(())
}
