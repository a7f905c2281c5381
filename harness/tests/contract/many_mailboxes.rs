//! Verifies promise D8 (prompt) of the delivery contract for a send to so many mailboxes that their identifiers do not
//! fit into one notification of Postgres.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use sqlx::ConnectOptions as _;
use woosh_adapters::database::Database;
use woosh_domain::model::SequenceNumber;
use woosh_domain::ports::{DeliverOutcome, WaitOutcome};
use woosh_harness::{Backend, TestDatabase};

use super::fixture::{add, delivery};

/// Number of mailboxes that the test sends to. Postgres limits the payload of a notification to 8,000 bytes, and 600
/// identifiers of 19 digits take more.
const MAILBOXES: usize = 600;
/// Makes the identifiers of new devices as long as possible (19 digits), so that fewer of them fit into a notification.
const LONG_IDENTIFIERS: &str = "ALTER TABLE devices ALTER COLUMN id RESTART WITH 9000000000000000000";

pub(crate) async fn check() -> anyhow::Result<()> {
    let test_database = TestDatabase::create(Backend::Postgres).await?;
    let sender = Database::open(test_database.url(), Duration::ZERO).await?;
    let reader = Database::open(test_database.url(), Duration::ZERO).await?;
    let mut connection = test_database.postgres_options().unwrap().connect().await?;
    sqlx::raw_sql(LONG_IDENTIFIERS).execute(&mut connection).await?;
    let names: Vec<_> = (0..MAILBOXES).map(|number| format!("user-{number}")).collect();
    let stores = sender.stores();
    let mailboxes: Vec<_> = stream::iter(&names).map(|name| add(&stores, name)).buffered(16).collect().await;

    let notifier = reader.stores().notifier;
    let subscriptions = mailboxes.iter().map(|mailbox| notifier.subscribe(*mailbox, Duration::from_secs(60)));
    let mut subscriptions: Vec<_> = subscriptions.collect();
    // The poll for lost notifications never notifies a reader that has seen every number.
    let waiting = join_all(subscriptions.iter_mut().map(|subscription| subscription.wait(SequenceNumber::MAX)));
    let recipients: Vec<_> = names.iter().map(String::as_str).collect();
    let (outcomes, sent) = tokio::join!(waiting, stores.mailboxes.deliver(delivery(&recipients, None)));
    assert!(matches!(sent?, DeliverOutcome::Stored { .. }));
    let notified = outcomes.iter().filter(|outcome| **outcome == WaitOutcome::Notified).count();
    assert_eq!(notified, MAILBOXES);
    sender.close().await;
    reader.close().await;
    Ok(())
}
