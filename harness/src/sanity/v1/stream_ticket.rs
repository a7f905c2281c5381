use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CACHE_CONTROL};
use serde_json::json;

use super::times::ensure_time;
use crate::client::{Client, Device, Events, send};
use crate::sanity::ensure_eq;

const TICKETS: &str = "/v1/mailbox/stream-tickets";

/// Creates a ticket. Returns the path that opens a stream with it.
async fn path_with_ticket(device: &Device) -> anyhow::Result<String> {
    let created = send(device.request(Method::POST, TICKETS)).await?.expect(201)?;
    ensure_time(&created["expires_at"])?;
    let ticket = created["ticket"].as_str().context("the ticket is not a string")?;
    Ok(format!("/v1/mailbox/stream?ticket={ticket}"))
}

pub(super) async fn a_ticket_opens_one_stream_on_any_replica(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    bob.send(&[&alice.name], "foo").await?;
    // Consecutive requests reach different replicas.
    for _ in 0..=client.replicas() {
        let path = path_with_ticket(&alice).await?;
        let mut events = Events::open(client.request(Method::GET, &path)).await?;
        let message = events.next().await?.context("the stream has ended")?;
        ensure_eq!(message.contents, "foo");
        client.get(&path).await?.expect_problem("unauthenticated", &["ticket"])?;
    }
    Ok(())
}

pub(super) async fn a_stream_with_a_ticket_resumes_after_a_number(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    for contents in ["foo", "bar"] {
        bob.send(&[&alice.name], contents).await?;
    }
    let incarnation = alice.page("").await?["incarnation"].clone();
    let incarnation = incarnation.as_str().context("the incarnation is not a string")?;
    let path = format!("{}&after=1&incarnation={incarnation}", path_with_ticket(&alice).await?);
    let mut events = Events::open(client.request(Method::GET, &path)).await?;
    let message = events.next().await?.context("the stream has ended")?;
    ensure_eq!(message.contents, "bar");
    Ok(())
}

pub(super) async fn a_ticket_is_good_for_streams_only(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let path = path_with_ticket(&alice).await?;
    let (_, ticket) = path.split_once('=').context("the path has no ticket")?;
    for other in ["/v1/mailbox", "/v1/users/me", "/v1/sessions"] {
        client.get(&format!("{other}?ticket={ticket}")).await?.expect_problem("unauthenticated", &[])?;
        let bearer = client.request(Method::GET, other).header(AUTHORIZATION, format!("Bearer {ticket}"));
        send(bearer).await?.expect_problem("unauthenticated", &[])?;
    }
    // The token of the session is not accepted in the URL.
    for wrong in ["", "nonsense", &alice.token] {
        let refused = client.get(&format!("/v1/mailbox/stream?ticket={wrong}")).await?;
        refused.expect_problem("unauthenticated", &["ticket"])?;
    }
    // None of these requests has used the ticket up.
    Events::open(client.request(Method::GET, &path)).await?;
    Ok(())
}

pub(super) async fn a_ticket_ends_with_its_session(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let second = alice.another().await?;
    let path = path_with_ticket(&second).await?;
    alice.delete(&format!("/v1/sessions/{}", second.session)).await?.expect_no_content()?;
    client.get(&path).await?.expect_problem("unauthenticated", &["ticket"])?;
    send(second.request(Method::POST, TICKETS)).await?.expect_problem("unauthenticated", &[])
}

pub(super) async fn tickets_differ_and_are_not_cached(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let mut tickets = BTreeSet::new();
    for _ in 0..20 {
        let created = send(alice.request(Method::POST, TICKETS)).await?;
        ensure_eq!(created.header(CACHE_CONTROL)?, "no-store");
        let ticket = created.expect(201)?["ticket"].as_str().context("the ticket is not a string")?.to_owned();
        ensure!(ticket.len() >= 32, "the ticket is short: {ticket}");
        tickets.insert(ticket);
    }
    ensure_eq!(tickets.len(), 20);
    ensure_eq!(alice.get("/v1/mailbox").await?.expect(200)?["messages"], json!([]));
    Ok(())
}
