use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::{sleep, timeout};
use woosh_harness::client::Device;
use woosh_harness::postgres::Proxy;

use super::fixture::{Fixture, database, start};

/// Number of requests that wait for the database when the database stops answering. This is more than the number of
/// connections that the server has to the database.
const WAITING: usize = 40;
/// Maximum time for which the server may refuse requests.
const MAX_INTERRUPTION: Duration = Duration::from_secs(20);
/// Maximum delay of notifications.
const MAX_DELAY: Duration = Duration::from_secs(10);

/// Verifies promises D1 (durable) and D2 (no loss) of the delivery contract if Postgres stops answering on open
/// connections while many requests wait for it: every request gets a response, and no stored message is lost.
pub(crate) async fn under_load() -> anyhow::Result<()> {
    let database = database().await?;
    let proxy = Proxy::start(&database).await?;
    let fixture = Fixture::start(proxy.url()?).await?;
    for silence in 0..2 {
        let before = format!("before {silence}");
        assert_eq!(fixture.send(&before).await.status(), 201);
        // Opens all connections of the pool.
        join_all((0..WAITING).map(|_| fixture.read())).await;
        let waiting = join_all((0..WAITING).map(|number| {
            let fixture = &fixture;
            async move { if number % 2 == 0 { fixture.read().await } else { fixture.send("in flight").await } }
        }));
        let silenced = async {
            proxy.silence();
            let start = Instant::now();
            let (duration, refused) = fixture.recover(MAX_INTERRUPTION).await;
            println!("silence {silence}: served again after {duration:.1?}, {refused} requests were refused");
            // Includes the last requests of `recover`, so it also shows that no request hangs any more.
            assert!(start.elapsed() < MAX_INTERRUPTION, "{:?}", start.elapsed());
        };
        let (replies, ()) = futures_util::future::join(waiting, silenced).await;
        for reply in replies {
            assert!([200, 201, 503].contains(&reply.status().as_u16()), "{}", reply.status());
        }
        let page = fixture.bob.mailbox_page("?limit=1000").await?;
        assert!(page.messages.iter().any(|message| message.contents == before));
    }
    Ok(())
}

/// Verifies promise D8 (prompt) of the delivery contract if Postgres stops answering on open connections: after a short
/// interruption, messages from another replica reach a waiting reader promptly again.
pub(crate) async fn notifications() -> anyhow::Result<()> {
    let database = database().await?;
    let proxy = Proxy::start(&database).await?;
    let fixture = Fixture::start(proxy.url()?).await?;
    let other = start(database.url().clone()).await?;
    let sender = fixture.alice.at(&other);
    // How long notifications take on this machine, which may be busy.
    let mut usual = Duration::ZERO;
    for _ in 0..5 {
        usual = usual.max(delay(&fixture.bob, &sender, || ()).await?);
    }
    assert!(usual < Duration::from_secs(4), "{usual:?}: the poll for lost notifications may take as long");
    let limit = Duration::from_millis(100) + 2 * usual;

    let start = Instant::now();
    let mut worst = delay(&fixture.bob, &sender, || proxy.silence()).await?;
    let mut prompt = 0;
    while prompt < 10 {
        let delay = delay(&fixture.bob, &sender, || ()).await?;
        worst = worst.max(delay);
        prompt = if delay < limit { prompt + 1 } else { 0 };
        assert!(start.elapsed() < 3 * MAX_DELAY, "the last message took {delay:?}");
    }
    println!("messages of the other replica were at most {worst:.1?} late, for at most {:.1?}", start.elapsed());
    Ok(())
}

/// Sends a message to a waiting reader. Returns how long after the response to the sender the reader received the
/// message: zero if it was before. Calls `happens` while the reader waits, before the message is sent.
async fn delay(reader: &Device, sender: &Device, happens: impl FnOnce()) -> anyhow::Result<Duration> {
    let mut after = 0;
    loop {
        // Repeats a request that is refused, as a client would.
        let Ok(page) = reader.mailbox_page(&format!("?after={after}")).await else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        after = page.up_to;
        if page.messages.is_empty() {
            break;
        }
    }
    let reading = async {
        loop {
            match reader.mailbox_page(&format!("?wait=30&after={after}")).await {
                Ok(page) if !page.messages.is_empty() => return Instant::now(),
                _ => sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let sending = async {
        sleep(Duration::from_millis(100)).await;
        happens();
        sender.send(&["bob"], "hello").await?;
        anyhow::Ok(Instant::now())
    };
    let (received, sent) = timeout(MAX_DELAY, futures_util::future::join(reading, sending)).await?;
    Ok(received.saturating_duration_since(sent?))
}
