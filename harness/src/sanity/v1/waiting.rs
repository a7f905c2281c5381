use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::client::{ApiResponse, Client, Device, contents, sequences};
use crate::sanity::ensure_eq;

use super::mailbox::filled;

/// Maximum time for a prompt response: long enough for a busy machine, and far below the timeouts of the readers.
const SOON: Duration = Duration::from_secs(20);
/// The time from the start of a reader to the request that ends its wait, such as a send. If the reader needs more time
/// to start, it finds the message without waiting.
const HEAD_START: Duration = Duration::from_millis(50);

pub(super) async fn a_waiting_reader_gets_a_message_promptly(client: Client) -> anyhow::Result<()> {
    const MESSAGES: usize = 15;
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (mut delays, mut sends) = (Vec::new(), Vec::new());
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        let sending = async {
            sleep(HEAD_START).await;
            let requested = Instant::now();
            alice.write(&bob, &text).await?;
            anyhow::Ok((requested.elapsed(), Instant::now()))
        };
        let reading = async {
            // Requests go to the replicas in turn. An additional request in every second round changes whether the
            // reader and the sender use the same of two replicas.
            for _ in 0..number % 2 {
                bob.page("").await?;
            }
            let page = bob.page(&format!("?after={number}&wait=30")).await?;
            Ok((page, Instant::now()))
        };
        let ((took, sent), (page, arrived)) = tokio::try_join!(sending, reading)?;
        ensure_eq!(page["messages"][0]["contents"], text);
        delays.push(arrived.saturating_duration_since(sent));
        sends.push(took);
    }
    delays.sort_unstable();
    ensure!(delays[MESSAGES - 1] < SOON, "the delays between send and arrival are {delays:?}");
    // The median would be higher if the server polled the database instead of being notified.
    ensure!(delays[MESSAGES / 2] < Duration::from_millis(250), "the delays between send and arrival are {delays:?}");
    sends.sort_unstable();
    ensure!(delays[MESSAGES - 1] < SOON, "the messages took {delays:?}");
    // Polling the database would take longer. The duration of the sends tells how busy the machine is.
    let limit = Duration::from_millis(250) + 2 * sends[MESSAGES / 2];
    ensure!(delays[MESSAGES / 2] < limit, "the messages took {delays:?}, and the sends {sends:?}");
    Ok(())
}

pub(super) async fn a_read_does_not_wait_if_messages_are_present(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 2).await?;
    let start = Instant::now();
    for query in ["?wait=50", "?after=1&wait=30", "?limit=1&wait=50"] {
        let page = bob.page(query).await?;
        ensure!(page["messages"] != json!([]), "the page has no messages: {page}");
    }
    ensure!(start.elapsed() < SOON, "the responses took {:?}", start.elapsed());
    Ok(())
}

pub(super) async fn a_wait_without_messages_ends_at_its_timeout(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 1).await?;
    let start = Instant::now();
    let page = bob.page("?after=1&wait=1").await?;
    let took = start.elapsed();
    ensure!((Duration::from_millis(900)..SOON).contains(&took), "the response took {took:?}");
    let expected = json!({
        "messages": [],
        "gaps": [],
        "incarnation": page["incarnation"],
        "acknowledged": 0,
        "up_to": 1,
        "has_more": false,
    });
    ensure_eq!(page, expected);
    Ok(())
}

pub(super) async fn every_waiting_reader_of_a_mailbox_gets_the_message(client: Client) -> anyhow::Result<()> {
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let (again, laptop) = (bob.again().await?, bob.another().await?);
    let readers = [&bob, &bob, &again, &again, &bob, &laptop];
    let start = Instant::now();
    let reading = try_join_all(readers.map(|reader| reader.page("?wait=30")));
    let sending = async {
        sleep(HEAD_START).await;
        alice.write(&bob, "foo").await
    };
    let (pages, _) = tokio::try_join!(reading, sending)?;
    for page in &pages {
        let messages = page["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        ensure_eq!((sequences(messages), contents(messages)), (vec![1], vec!["foo"]));
    }
    ensure!(start.elapsed() < SOON, "the responses took {:?}", start.elapsed());
    Ok(())
}

pub(super) async fn a_waiting_reader_gets_401_when_its_session_ends(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let (again, other, laptop) = (alice.again().await?, alice.another().await?, alice.another().await?);
    let (of_again, of_laptop) = (format!("/v1/sessions/{}", again.session), format!("/v1/devices/{}", laptop.id));
    let change = json!({ "old_password": alice.password, "new_password": "new" });
    ensure_rejected(&again, alice.delete(&of_again)).await?;
    ensure_rejected(&laptop, alice.delete(&of_laptop)).await?;
    ensure_rejected(&other, alice.put("/v1/users/me/password", &change)).await?;
    ensure_rejected(&alice, alice.delete("/v1/users/me")).await
}

/// Lets `reader` wait for messages, and then ends its session with the request `ending`. Fails unless `reader` promptly
/// receives 401.
async fn ensure_rejected(
    reader: &Device,
    ending: impl Future<Output = anyhow::Result<ApiResponse>>,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let ending = async {
        sleep(HEAD_START).await;
        ending.await?.expect_no_content()
    };
    let (refused, ()) = tokio::try_join!(reader.get("/v1/mailbox?wait=30"), ending)?;
    refused.expect_problem("unauthenticated", &[])?;
    ensure!(start.elapsed() < SOON, "the responses took {:?}", start.elapsed());
    Ok(())
}
