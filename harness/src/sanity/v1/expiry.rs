use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::{Client, Device, message};
use crate::sanity::ensure_eq;

pub(super) async fn an_unread_expired_message_is_a_gap_until_acknowledged(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    alice.write(&bob, "one").await?;
    write_for_a_second(&alice, &bob).await?;
    alice.write(&bob, "three").await?;
    let page = bob.page("").await?;
    let (one, three) = (page["messages"][0].clone(), page["messages"][2].clone());

    let gap = json!({ "first": 2, "last": 2, "reason": "expired" });
    let incarnation = &page["incarnation"];
    let expected = |messages: &[&Value], gaps: &[&Value], acknowledged: i64| {
        json!({
            "messages": messages,
            "gaps": gaps,
            "incarnation": incarnation,
            "acknowledged": acknowledged,
            "up_to": 3,
            "has_more": false,
        })
    };
    ensure_eq!(expired(&bob).await?, expected(&[&one, &three], &[&gap], 0));
    // The page that covers the number of a gap reports the gap. Later pages do not.
    ensure_eq!(bob.page("?after=1").await?["gaps"], json!([gap]));
    ensure_eq!(bob.page("?after=2").await?["gaps"], json!([]));

    let mut stream = bob.stream("").await?;
    let events = stream.take(3).await?.into_iter().map(|event| (event.sequence, event.event, event.data));
    let message = |sequence: i64, data: &Value| (sequence, "message".to_owned(), data.clone());
    ensure_eq!(events.collect::<Vec<_>>(), [message(1, &one), (2, "gap".to_owned(), gap), message(3, &three)]);

    ensure_eq!(bob.acknowledge(2).await?, 2);
    ensure_eq!(bob.page("").await?, expected(&[&three], &[], 2));
    Ok(())
}

pub(super) async fn a_mailbox_reports_that_everything_expired_and_stays_usable(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    write_for_a_second(&alice, &bob).await?;
    let gap = json!({ "first": 1, "last": 1, "reason": "expired" });
    let incarnation = bob.page("").await?["incarnation"].clone();
    let expected = |gaps: &[&Value], acknowledged: i64| {
        json!({
            "messages": [],
            "gaps": gaps,
            "incarnation": incarnation,
            "acknowledged": acknowledged,
            "up_to": 1,
            "has_more": false,
        })
    };
    ensure_eq!(expired(&bob).await?, expected(&[&gap], 0));
    ensure_eq!(bob.acknowledge(1).await?, 1);
    ensure_eq!(bob.page("").await?, expected(&[], 1));
    alice.write(&bob, "two").await?;
    ensure_eq!(bob.page("").await?["messages"][0]["sequence"], 2);
    Ok(())
}

pub(super) async fn the_classic_api_returns_no_expired_messages(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    write_for_a_second(&alice, &bob).await?;
    alice.write(&bob, "two").await?;
    expired(&bob).await?;
    let (messages, _) = bob.classic().poll().await?;
    ensure_eq!(messages.iter().map(|message| &message["contents"]).collect::<Vec<_>>(), ["two"]);
    Ok(())
}

async fn write_for_a_second(sender: &Device, to: &Device) -> anyhow::Result<()> {
    let mut body = message(&[(to, "gone soon")]);
    body["ttl_seconds"] = json!(1);
    sender.post("/v1/messages", &body).await?.expect(201)?;
    Ok(())
}

/// Reads the mailbox until a message has expired. Returns the page that reports the gap.
async fn expired(reader: &Device) -> anyhow::Result<Value> {
    let start = Instant::now();
    loop {
        let page = reader.page("").await?;
        if page["gaps"] != json!([]) {
            return Ok(page);
        }
        ensure!(start.elapsed() < Duration::from_secs(10), "no message has expired: {page}");
        sleep(Duration::from_millis(50)).await;
    }
}
