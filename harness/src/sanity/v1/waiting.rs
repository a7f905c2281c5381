use std::time::{Duration, Instant};

use anyhow::ensure;
use futures_util::future::try_join_all;
use serde_json::json;
use tokio::time::sleep;

use crate::sanity::client::{Answer, Client, Device, contents, ensure_eq, sequences};

use super::mailbox::filled;

/// What is meant to come soon comes within this, also on a busy machine; far less than a reader's timeout here.
const SOON: Duration = Duration::from_secs(5);
/// How long a reader gets to begin to wait. Where it takes longer it finds at once what it would have waited for.
const HEAD_START: Duration = Duration::from_millis(50);

pub(super) async fn a_waiting_reader_has_a_message_soon_after_it_is_sent(client: Client) -> anyhow::Result<()> {
    const MESSAGES: usize = 15;
    let (alice, bob) = (client.account("alice").await?, client.account("bob").await?);
    let mut delays = Vec::new();
    for number in 0..MESSAGES {
        let text = format!("message {number}");
        let sending = async {
            sleep(HEAD_START).await;
            alice.write(&bob, &text).await?;
            anyhow::Ok(Instant::now())
        };
        let reading = async {
            // On two replicas the reader and the sender are on the same one each other time.
            for _ in 0..number % 2 {
                bob.page("").await?;
            }
            let page = bob.page(&format!("?after={number}&wait=30")).await?;
            Ok((page, Instant::now()))
        };
        let (sent, (page, arrived)) = tokio::try_join!(sending, reading)?;
        ensure_eq!(page["messages"][0]["contents"], text);
        delays.push(arrived.saturating_duration_since(sent));
    }
    delays.sort_unstable();
    ensure!(delays[MESSAGES - 1] < SOON, "they took {delays:?}");
    // Not what looking again every now and then would take.
    ensure!(delays[MESSAGES / 2] < Duration::from_millis(250), "they took {delays:?}");
    Ok(())
}

pub(super) async fn what_is_there_is_not_waited_for(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 2).await?;
    let start = Instant::now();
    for query in ["?wait=60", "?after=1&wait=30", "?limit=1&wait=60"] {
        let page = bob.page(query).await?;
        ensure!(page["messages"] != json!([]), "nothing came: {page}");
    }
    ensure!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    Ok(())
}

pub(super) async fn a_wait_for_nothing_ends_when_it_is_over(client: Client) -> anyhow::Result<()> {
    let bob = filled(&client, 1).await?;
    let start = Instant::now();
    let page = bob.page("?after=1&wait=1").await?;
    let took = start.elapsed();
    ensure!((Duration::from_millis(900)..SOON).contains(&took), "it took {took:?}");
    let expected = json!({ "messages": [], "gaps": [], "acknowledged": 0, "up_to": 1, "has_more": false });
    ensure_eq!(page, expected);
    Ok(())
}

pub(super) async fn all_who_wait_for_one_mailbox_have_it(client: Client) -> anyhow::Result<()> {
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
    ensure!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    Ok(())
}

pub(super) async fn a_reader_whose_session_ends_is_sent_away(client: Client) -> anyhow::Result<()> {
    let alice = client.account("alice").await?;
    let (again, other, laptop) = (alice.again().await?, alice.another().await?, alice.another().await?);
    let (of_again, of_laptop) = (format!("/v1/sessions/{}", again.session), format!("/v1/devices/{}", laptop.id));
    let change = json!({ "old_password": alice.password, "new_password": "new" });
    sent_away(&again, alice.delete(&of_again)).await?;
    sent_away(&laptop, alice.delete(&of_laptop)).await?;
    sent_away(&other, alice.put("/v1/users/me/password", &change)).await?;
    sent_away(&alice, alice.delete("/v1/users/me")).await
}

/// Fails unless a reader that waits gets 401 soon after what ends its session.
async fn sent_away(reader: &Device, ending: impl Future<Output = anyhow::Result<Answer>>) -> anyhow::Result<()> {
    let start = Instant::now();
    let ending = async {
        sleep(HEAD_START).await;
        ending.await?.expect_nothing()
    };
    let (refused, ()) = tokio::try_join!(reader.get("/v1/mailbox?wait=30"), ending)?;
    refused.expect_problem("unauthenticated", &[])?;
    ensure!(start.elapsed() < SOON, "it took {:?}", start.elapsed());
    Ok(())
}
