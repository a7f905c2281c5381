use anyhow::{Context as _, ensure};
use futures_util::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Device, Event, Events, send};
use crate::sanity::ensure_eq;

use super::mailbox::filled;

const STREAM: &str = "/v1/mailbox/stream";

pub(super) async fn events_carry_the_messages_in_order(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 3).await?;
    let expected = events(&bob.page("").await?)?;
    ensure_eq!(bob.stream("").await?.take(3).await?, expected);
    // Reading has deleted nothing, so a second stream has the same events.
    ensure_eq!(bob.stream("").await?.take(3).await?, expected);
    Ok(())
}

pub(super) async fn new_messages_arrive_on_an_open_stream(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    alice.write(&bob, "before").await?;
    let mut stream = bob.stream("").await?;
    let mut came = stream.take(1).await?;
    for number in 0..10 {
        // Line breaks in the contents must not look like the end of the event.
        alice.write(&bob, &format!("message\n\n{number}\r\ndata: x")).await?;
        came.extend(stream.take(1).await?);
    }
    try_join_all((0..100).map(|_| alice.write(&bob, "at once"))).await?;
    came.extend(stream.take(100).await?);
    let page = bob.page("?limit=1000").await?;
    ensure_eq!(came, events(&page)?);
    Ok(())
}

pub(super) async fn a_stream_resumes_after_the_given_number(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 6).await?;
    let all = events(&bob.page("").await?)?;
    ensure_eq!(bob.stream("?after=2").await?.take(4).await?, all[2..]);
    ensure_eq!(resumed(&bob, "", "4").await?.take(2).await?, all[4..]);
    ensure_eq!(resumed(&bob, "?after=1", "4").await?.take(2).await?, all[4..]);
    // The stream omits acknowledged messages, even if the reader resumes before them.
    bob.acknowledge(3).await?;
    ensure_eq!(bob.stream("").await?.take(3).await?, all[3..]);
    ensure_eq!(resumed(&bob, "?after=0", "1").await?.take(3).await?, all[3..]);
    Ok(())
}

pub(super) async fn a_reader_that_reconnects_repeatedly_gets_each_message_once(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let sending = async {
        for number in 0..30 {
            alice.write(&bob, &format!("message {number}")).await?;
        }
        anyhow::Ok(())
    };
    let reading = async {
        let mut ids: Vec<i64> = Vec::new();
        while ids.len() < 30 {
            let last = ids.last().copied().unwrap_or_default().to_string();
            let came = resumed(&bob, "", &last).await?.take(1 + ids.len() % 3).await?;
            ids.extend(came.iter().map(|event| event.sequence));
        }
        Ok(ids)
    };
    let ((), ids) = tokio::try_join!(sending, reading)?;
    ensure_eq!(ids, (1..=30).collect::<Vec<_>>());
    Ok(())
}

pub(super) async fn several_streams_of_one_mailbox_get_the_same_events(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let laptop = bob.another().await?;
    let again = bob.again().await?;
    let mut streams = Vec::new();
    for reader in [&bob, &again, &laptop] {
        streams.push((reader, reader.stream("").await?));
    }
    for number in 0..3 {
        alice.write(&bob, &format!("message {number}")).await?;
    }
    let messages = bob.messages().await?;
    for (reader, stream) in &mut streams {
        let page = reader.page("").await?;
        ensure_eq!(page["messages"], json!(messages));
        ensure_eq!(stream.take(3).await?, events(&page)?);
    }
    Ok(())
}

pub(super) async fn a_stream_ends_with_its_session(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (again, laptop) = (bob.again().await?, bob.another().await?);
    alice.write(&bob, "foo").await?;
    let mut streams = Vec::new();
    for reader in [&bob, &again, &laptop] {
        let mut stream = reader.stream("").await?;
        stream.take(1).await?;
        streams.push(stream);
    }
    let [of_bob, of_again, of_laptop] = streams.as_mut_slice() else { anyhow::bail!("expected three streams") };
    bob.delete(&format!("/v1/sessions/{}", again.session)).await?.expect_no_content()?;
    ensure_eq!(of_again.next_event().await?, None);
    bob.delete(&format!("/v1/devices/{}", laptop.id)).await?.expect_no_content()?;
    ensure_eq!(of_laptop.next_event().await?, None);
    // The stream of another session on the same device continues.
    alice.write(&bob, "bar").await?;
    ensure_eq!(of_bob.take(1).await?[0].data["contents"], "bar");
    bob.delete("/v1/users/me").await?.expect_no_content()?;
    ensure_eq!(of_bob.next_event().await?, None);
    Ok(())
}

pub(super) async fn a_stream_carries_nothing_sent_after_its_session_ended(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let again = bob.again().await?;
    let mut stream = again.stream("").await?;
    again.delete("/v1/sessions/current").await?.expect_no_content()?;
    alice.write(&bob, "too late").await?;
    ensure_eq!(stream.next_event().await?, None);
    Ok(())
}

pub(super) async fn an_invalid_number_to_resume_after_is_refused(client: Client) -> anyhow::Result<()> {
    let bob = client.account("bob").await?;
    for wrong in ["0123456789abcdef", "0123456789abcdef-", "0123456789ABCDEF-1", "012-1"] {
        let refused = send(bob.request(Method::GET, STREAM).header("last-event-id", wrong)).await?;
        refused.expect_problem("invalid_request", &["Last-Event-ID"])?;
    }
    for wrong in ["x", "-1", "1.5", "9223372036854775808"] {
        let refused = send(bob.request(Method::GET, STREAM).header("last-event-id", wrong)).await?;
        refused.expect_problem("invalid_request", &["Last-Event-ID"])?;
        let refused = bob.get(&format!("{STREAM}?after={wrong}")).await?;
        refused.expect_problem("invalid_request", &["after"])?;
    }
    Ok(())
}

async fn resumed(reader: &Device, query: &str, last: &str) -> anyhow::Result<Events> {
    Events::open(reader.request(Method::GET, &format!("{STREAM}{query}")).header("last-event-id", last)).await
}

/// Converts the messages of a page to the events that a stream is expected to send for them.
fn events(page: &Value) -> anyhow::Result<Vec<Event>> {
    let incarnation = page["incarnation"].as_str().context("incarnation is not a string")?;
    let messages = page["messages"].as_array().context("messages is not an array")?;
    ensure!(!messages.is_empty(), "messages is empty");
    let event = |message: &Value| {
        let sequence = message["sequence"].as_i64();
        Ok(Event {
            incarnation: incarnation.to_owned(),
            sequence: sequence.with_context(|| format!("sequence is not an integer in {message}"))?,
            event: "message".to_owned(),
            data: message.clone(),
        })
    };
    messages.iter().map(event).collect()
}
