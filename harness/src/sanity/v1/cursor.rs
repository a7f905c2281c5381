use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{ApiResponse, Client, Device, Events, sequences};
use crate::sanity::ensure_eq;

use super::mailbox::filled;

const OTHER: &str = "0123456789abcdef";

pub(super) async fn every_mailbox_has_an_incarnation_that_does_not_change(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 2).await?;
    let laptop = bob.another().await?;
    let incarnation = incarnation(&bob).await?;
    ensure!(incarnation != self::incarnation(&laptop).await?, "two mailboxes have the incarnation {incarnation}");
    ensure_eq!(self::incarnation(&bob.again().await?).await?, incarnation);
    bob.acknowledge(1).await?;
    ensure_eq!(self::incarnation(&bob).await?, incarnation);
    let event = bob.stream("").await?.next_event().await?.context("the stream has ended")?;
    ensure_eq!((event.incarnation, event.sequence), (incarnation, 2));
    Ok(())
}

pub(super) async fn a_cursor_up_to_the_newest_number_is_accepted(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, filled(&client, 3).await?);
    let incarnation = incarnation(&bob).await?;
    for after in 0..=3_i64 {
        for query in [format!("?after={after}"), format!("?after={after}&incarnation={incarnation}")] {
            let page = bob.page(&query).await?;
            ensure_eq!(sequences_of(&page)?, (after + 1..=3).collect::<Vec<_>>());
        }
    }
    // A reader can wait at the newest number, and resume after it, on any replica as soon as it has received the
    // message.
    for newest in 3..9_i64 {
        let (query, last) = (format!("?after={newest}&incarnation={incarnation}"), format!("{incarnation}-{newest}"));
        let request = bob.request(Method::GET, "/v1/mailbox/stream").header("last-event-id", last);
        let mut stream = Events::open(request).await?;
        let waiting = format!("{query}&wait=30");
        let (page, _) = tokio::try_join!(bob.page(&waiting), alice.write(&bob, "next"))?;
        ensure_eq!(sequences_of(&page)?, [newest + 1]);
        ensure_eq!(stream.take(1).await?[0].sequence, newest + 1);
    }
    Ok(())
}

pub(super) async fn a_cursor_beyond_the_newest_number_is_refused_with_where_to_go_on(
    client: Client,
) -> anyhow::Result<()> {
    let bob = filled(&client, 3).await?;
    bob.acknowledge(1).await?;
    let page = bob.page("").await?;
    let incarnation = incarnation(&bob).await?;
    for after in [4, 10, i64::MAX] {
        for query in [
            format!("after={after}"),
            format!("after={after}&wait=30"),
            format!("after={after}&incarnation={incarnation}"),
        ] {
            let refused = bob.get(&format!("/v1/mailbox?{query}")).await?;
            refused.expect_mailbox_problem("cursor_ahead", &["beyond", "3"], &page)?;
        }
        bob.get(&format!("/v1/mailbox/stream?after={after}")).await?.expect_mailbox_problem(
            "cursor_ahead",
            &[],
            &page,
        )?;
    }
    for last in ["4".to_owned(), format!("{incarnation}-4")] {
        resume(&bob, "?after=0", &last).await?.expect_mailbox_problem("cursor_ahead", &[], &page)?;
    }
    // The refusal changes nothing, and a client can read on after the `acknowledged` of the problem.
    let query = format!("?after={}&incarnation={incarnation}", page["acknowledged"]);
    ensure_eq!(bob.page(&query).await?, page);
    // An empty mailbox also refuses a cursor above its newest number.
    let laptop = bob.another().await?;
    let page = laptop.page("").await?;
    laptop.get("/v1/mailbox?after=1").await?.expect_mailbox_problem("cursor_ahead", &["0"], &page)
}

pub(super) async fn a_cursor_of_another_incarnation_is_refused_and_deletes_nothing(
    client: Client,
) -> anyhow::Result<()> {
    let bob = filled(&client, 3).await?;
    let page = bob.page("").await?;
    let refused = |response: ApiResponse| response.expect_mailbox_problem("mailbox_restored", &["incarnation"], &page);
    for query in ["", "after=0&", "after=3&", "after=3&wait=30&", "after=4&"] {
        refused(bob.get(&format!("/v1/mailbox?{query}incarnation={OTHER}")).await?)?;
        refused(bob.get(&format!("/v1/mailbox/stream?{query}incarnation={OTHER}")).await?)?;
    }
    let current = incarnation(&bob).await?;
    refused(resume(&bob, "", &format!("{OTHER}-1")).await?)?;
    // The incarnation in `Last-Event-ID` takes precedence over the parameter `incarnation`.
    refused(resume(&bob, &format!("?incarnation={current}"), &format!("{OTHER}-1")).await?)?;
    refused(resume(&bob, &format!("?incarnation={OTHER}"), "1").await?)?;
    for up_to in [0, 1, 3, 4] {
        let body = json!({ "up_to": up_to, "incarnation": OTHER });
        refused(bob.post("/v1/mailbox/ack", &body).await?)?;
    }
    ensure_eq!(bob.page("").await?, page);
    let body = json!({ "up_to": 1, "incarnation": current });
    ensure_eq!(bob.post("/v1/mailbox/ack", &body).await?.expect(200)?, json!({ "acknowledged": 1 }));
    Ok(())
}

pub(super) async fn an_invalid_incarnation_is_named(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 1).await?;
    for wrong in ["", "1", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0123456789abcdeg"] {
        for path in ["/v1/mailbox", "/v1/mailbox/stream"] {
            let refused = bob.get(&format!("{path}?incarnation={wrong}")).await?;
            refused.expect_problem("invalid_request", &["incarnation", "16"])?;
        }
        let refused = bob.post("/v1/mailbox/ack", &json!({ "up_to": 1, "incarnation": wrong })).await?;
        refused.expect_problem("invalid_request", &["incarnation", "16"])?;
    }
    for wrong in [json!(1), json!([OTHER]), json!(true)] {
        let refused = bob.post("/v1/mailbox/ack", &json!({ "up_to": 1, "incarnation": wrong })).await?;
        refused.expect_problem("invalid_request", &["incarnation"])?;
    }
    ensure_eq!(sequences(&bob.messages().await?), [1]);
    Ok(())
}

/// Returns the incarnation of the mailbox of a device.
async fn incarnation(device: &Device) -> anyhow::Result<String> {
    let page = device.page("").await?;
    let incarnation = page["incarnation"].as_str().context("incarnation is not a string")?;
    let digits = incarnation.len() == 16 && incarnation.bytes().all(|digit| b"0123456789abcdef".contains(&digit));
    ensure!(digits, "the incarnation is {incarnation:?}");
    Ok(incarnation.to_owned())
}

/// Requests a stream with `Last-Event-ID`, and returns the response. The caller expects that the server refuses the
/// request.
async fn resume(device: &Device, query: &str, last: &str) -> anyhow::Result<ApiResponse> {
    let request = device.request(Method::GET, &format!("/v1/mailbox/stream{query}"));
    crate::client::send(request.header("last-event-id", last)).await
}

fn sequences_of(page: &Value) -> anyhow::Result<Vec<i64>> {
    Ok(sequences(page["messages"].as_array().context("messages is not an array")?))
}
