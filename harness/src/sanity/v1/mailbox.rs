use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use serde_json::json;

use crate::client::{Client, Device, contents, sequences};
use crate::sanity::ensure_eq;

pub(super) async fn an_empty_mailbox_returns_an_empty_page(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let page = alice.page("").await?;
    let incarnation = &page["incarnation"];
    let empty = json!({
        "messages": [],
        "gaps": [],
        "incarnation": incarnation,
        "acknowledged": 0,
        "up_to": 0,
        "has_more": false,
    });
    ensure_eq!(page, empty);
    ensure_eq!(alice.page("?after=0&limit=1000&wait=0").await?, empty);
    Ok(())
}

pub(super) async fn reading_deletes_nothing(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 3).await?;
    let page = bob.page("").await?;
    for query in ["", "?after=0", "?limit=100", "?wait=50", "?after=0&limit=3&wait=1"] {
        ensure_eq!(bob.page(query).await?, page);
    }
    bob.page("?after=2").await?;
    ensure_eq!(bob.page("").await?, page);
    Ok(())
}

pub(super) async fn consecutive_pages_are_in_order(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 7).await?;
    for (query, expected, up_to, has_more) in [
        ("?limit=3", 1..4, 3, true),
        ("?limit=3&after=3", 4..7, 6, true),
        ("?limit=3&after=6", 7..8, 7, false),
        ("?limit=7", 1..8, 7, false),
        ("?limit=6", 1..7, 6, true),
        ("?limit=1&after=5", 6..7, 6, true),
        ("?limit=1&after=6", 7..8, 7, false),
        ("?after=7", 8..8, 7, false),
    ] {
        let page = bob.page(query).await?;
        let messages = page["messages"].as_array().context("messages is not an array")?;
        ensure_eq!(sequences(messages), expected.clone().collect::<Vec<i64>>());
        ensure_eq!(contents(messages), expected.map(|number| format!("message {number}")).collect::<Vec<_>>());
        ensure_eq!((&page["up_to"], &page["has_more"]), (&json!(up_to), &json!(has_more)));
        ensure_eq!((&page["gaps"], &page["acknowledged"]), (&json!([]), &json!(0)));
    }
    Ok(())
}

pub(super) async fn a_page_is_limited_in_bytes_but_never_empty(client: Client) -> anyhow::Result<()> {
    const LONGEST: usize = 64 * 1024;
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let texts: Vec<_> = (0..20).map(|number| format!("{number:02}{}", "x".repeat(LONGEST - 2))).collect();
    for text in &texts {
        alice.write(&bob, text).await?;
    }
    let (mut read, mut after) = (Vec::new(), 0);
    loop {
        let page = bob.page(&format!("?limit=1000&after={after}")).await?;
        let messages = page["messages"].as_array().context("messages is not an array")?;
        let bytes: usize = contents(messages).iter().map(|text| text.len()).sum();
        ensure!((1..=1024 * 1024 + LONGEST).contains(&bytes), "a page holds {bytes} bytes");
        read.extend(contents(messages).into_iter().map(str::to_owned));
        after = page["up_to"].as_i64().context("up_to is not an integer")?;
        ensure!(read.len() <= texts.len(), "a message was returned twice");
        if page["has_more"] == false {
            break;
        }
    }
    ensure!(read == texts, "{} of {} messages arrived, or they arrived in another order", read.len(), texts.len());
    Ok(())
}

pub(super) async fn a_reader_without_a_cursor_gets_everything_unacknowledged(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 5).await?;
    let first = bob.page("?limit=3").await?;
    ensure_eq!(first["up_to"], 3);
    ensure_eq!(bob.acknowledge(2).await?, 2);
    let again = bob.again().await?;
    for reader in [&bob, &again] {
        let page = reader.page("").await?;
        ensure_eq!(page["acknowledged"], 2);
        ensure_eq!(sequences(page["messages"].as_array().context("messages is not an array")?), [3, 4, 5]);
        // Acknowledged messages are not returned, and are not a gap either.
        ensure_eq!(reader.page("?after=0").await?, page);
    }
    Ok(())
}

pub(super) async fn an_invalid_parameter_is_named_with_its_limit(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 1).await?;
    let wrong = [
        ("after=-1", ["after", ""]),
        ("after=x", ["after", ""]),
        ("after=1.5", ["after", ""]),
        ("after=", ["after", ""]),
        ("after=9223372036854775808", ["after", ""]),
        ("limit=0", ["limit", "1000"]),
        ("limit=-1", ["limit", ""]),
        ("limit=1001", ["limit", "1000"]),
        ("limit=all", ["limit", ""]),
        ("wait=-1", ["wait", ""]),
        ("wait=51", ["wait", "50"]),
        ("wait=soon", ["wait", ""]),
    ];
    for (query, parts) in wrong {
        bob.get(&format!("/v1/mailbox?{query}")).await?.expect_problem("invalid_request", &parts)?;
    }
    ensure_eq!(sequences(&bob.messages().await?), [1]);
    Ok(())
}

pub(super) async fn no_message_is_lost_or_reordered_during_concurrent_sends(client: Client) -> anyhow::Result<()> {
    const SENDERS: usize = 6;
    const MESSAGES: usize = 40;
    let bob = client.account("bob").await?;
    let alice = client.account("alice").await?;
    let sending = try_join_all((0..SENDERS).map(async |sender| {
        for number in 0..MESSAGES {
            alice.write(&bob, &format!("{sender} {number:02}")).await?;
        }
        anyhow::Ok(())
    }));
    let reading = async {
        let mut read = Vec::new();
        while read.len() < SENDERS * MESSAGES {
            let page = bob.page("?limit=10&wait=20").await?;
            let messages = page["messages"].as_array().context("messages is not an array")?;
            ensure!(!messages.is_empty(), "no message arrived after {} messages", read.len());
            ensure_eq!(page["gaps"], json!([]));
            let next = i64::try_from(read.len())? + 1;
            let up_to = i64::try_from(read.len() + messages.len())?;
            ensure_eq!(sequences(messages), (next..=up_to).collect::<Vec<_>>());
            read.extend(contents(messages).into_iter().map(str::to_owned));
            ensure_eq!(bob.acknowledge(up_to).await?, up_to);
        }
        Ok(read)
    };
    let (_, read) = tokio::try_join!(sending, reading)?;
    for sender in 0..SENDERS {
        let of_sender: Vec<_> = read.iter().filter(|text| text.starts_with(&format!("{sender} "))).collect();
        ensure!(of_sender.len() == MESSAGES && of_sender.is_sorted(), "sender {sender} is out of order: {of_sender:?}");
    }
    ensure_eq!(bob.messages().await?.len(), 0);
    Ok(())
}

/// Registers a user and sends `count` messages to this user: "message 1", "message 2" and so on.
pub(super) async fn filled(client: &Client, count: usize) -> anyhow::Result<Device> {
    let (alice, bob) = (client.account("sender").await?, client.account("reader").await?);
    for number in 1..=count {
        alice.write(&bob, &format!("message {number}")).await?;
    }
    Ok(bob)
}
