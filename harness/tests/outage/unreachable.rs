use std::time::Duration;

use woosh_harness::postgres::Proxy;

use super::fixture::{Fixture, assert_unavailable, database};

/// Verifies promises D1 (durable) and D2 (no loss) of the delivery contract if Postgres is unreachable for a time:
/// every message that was accepted before or after is received.
pub(crate) async fn outage() -> anyhow::Result<()> {
    let database = database().await?;
    let proxy = Proxy::start(&database).await?;
    let fixture = Fixture::start(proxy.url()?).await?;
    let mut sent = Vec::new();
    for outage in 0..2 {
        for count in 0..20 {
            let contents = format!("{outage}/{count}");
            assert_eq!(fixture.send(&contents).await.status(), 201);
            sent.push(contents);
        }
        proxy.cut().await;
        assert_unavailable(&fixture.send("refused").await);
        fixture.becomes_ready(false, Duration::from_secs(5)).await;
        assert!(fixture.is_alive().await);

        proxy.restore();
        let duration = fixture.becomes_ready(true, Duration::from_secs(30)).await;
        println!("ready {duration:.1?} after the network was restored");
        // A server that reports that it is ready accepts messages.
        assert_eq!(fixture.send("recovered").await.status(), 201);
        sent.push("recovered".to_owned());
    }
    let page = fixture.bob.mailbox_page("").await?;
    let received: Vec<_> = page.messages.into_iter().map(|message| message.contents).collect();
    assert_eq!(received, sent);
    Ok(())
}
