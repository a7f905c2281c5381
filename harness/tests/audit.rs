//! Tests the audit itself: a check of the database tables for inconsistencies, which other tests rely on. The audit
//! must find and name each kind of damage.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use woosh_adapters::database::Database;
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_harness::{Backend, TestDatabase};

/// SQL statements, each of which damages the tables that [`fill`] has filled. Beside each statement is the line that
/// the audit must return for this damage.
const DAMAGES: &[(&str, &str)] = &[
    ("DELETE FROM devices WHERE id = 3", "1 users without a device"),
    ("DELETE FROM users WHERE id = 2", "1 devices without a user"),
    ("DELETE FROM mailboxes WHERE device_id = 3", "1 devices without a mailbox"),
    ("DELETE FROM devices WHERE id = 2", "1 mailboxes without a device"),
    ("DELETE FROM devices WHERE id = 2", "1 sessions without a device"),
    ("DELETE FROM mailboxes WHERE device_id = 1", "1 gaps without a mailbox"),
    ("UPDATE mailboxes SET pending = pending + 1 WHERE device_id = 1", TOTALS),
    ("UPDATE mailboxes SET bytes = bytes - 1 WHERE device_id = 2", TOTALS),
    ("DELETE FROM envelopes WHERE device_id = 2 AND sequence = 1", TOTALS),
    ("UPDATE mailboxes SET acknowledged = 9 WHERE device_id = 3", "1 mailboxes whose numbers are inconsistent"),
    ("UPDATE mailboxes SET acknowledged = 1 WHERE device_id = 3", OUTSIDE),
    ("UPDATE envelopes SET sequence = 99 WHERE device_id = 2 AND sequence = 1", OUTSIDE),
    (
        "UPDATE envelopes SET size = 0 WHERE device_id = 3",
        "1 envelopes whose size differs from the contents of their message",
    ),
    ("UPDATE messages SET copies = 3 WHERE copies = 2", COPIES),
    ("DELETE FROM envelopes WHERE device_id = 2 AND sequence = 1", COPIES),
    ("DELETE FROM envelopes WHERE device_id = 3", "1 messages without an envelope"),
    (
        "DELETE FROM envelopes WHERE device_id = 3; UPDATE messages SET copies = 0 WHERE recipient = 'carol'",
        "1 messages without an envelope",
    ),
    ("DELETE FROM messages WHERE recipient = 'carol'", "1 envelopes without a message"),
    ("DELETE FROM mailboxes WHERE device_id = 3", "1 envelopes without a mailbox"),
    ("UPDATE gaps SET last_sequence = 99", "1 gaps outside the sequence numbers of their mailbox"),
    ("UPDATE gaps SET last_sequence = 3", "1 gaps outside the sequence numbers of their mailbox"),
    (
        "UPDATE mailboxes SET acknowledged = 5 WHERE device_id = 1",
        "1 gaps outside the sequence numbers of their mailbox",
    ),
    ("INSERT INTO gaps (device_id, first_sequence, last_sequence) VALUES (1, 5, 5)", "1 gaps that overlap another gap"),
    ("UPDATE gaps SET first_sequence = 3", "1 gaps that contain an envelope"),
    (
        "UPDATE mailboxes SET refused_from = 5 WHERE device_id = 1",
        "1 gaps at the end of a mailbox that does not continue them",
    ),
    ("INSERT INTO purges (device_id) VALUES (4711)", "1 deleted devices that are not purged"),
    ("UPDATE envelopes SET expires_at = 1700000000000000 WHERE device_id = 3", "1 expired envelopes"),
    ("UPDATE idempotency_keys SET generation = generation - 26", "1 outdated idempotency keys"),
];
const TOTALS: &str = "1 mailboxes whose totals differ from their envelopes";
const OUTSIDE: &str = "1 envelopes outside the sequence numbers of their mailbox";
const COPIES: &str = "1 messages whose number of copies differs from their envelopes";

fn main() {
    let name = "every_damage_of_the_tables_is_named";
    let trials = [Backend::Sqlite, Backend::Postgres]
        .map(|backend| support::trial(&backend.to_string(), backend, name, move || run(damage(backend))));
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit();
}

fn run(test: impl Future<Output = anyhow::Result<()>>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(test).map_err(|error| format!("{error:#}").into())
}

async fn damage(backend: Backend) -> anyhow::Result<()> {
    for (statements, line) in DAMAGES {
        let test_database = TestDatabase::create(backend).await?;
        let database = Database::open(test_database.url(), Duration::ZERO).await?;
        fill(&database.stores()).await;
        assert_eq!(database.sweep_and_audit(Some(now())).await?, Vec::<String>::new());
        execute_unchecked(&test_database, statements).await?;
        let violations = database.audit(now()).await?;
        assert!(violations.iter().any(|found| found == line), "{statements}: {violations:?}");
        database.close().await;
    }
    Ok(())
}

/// Executes statements without the checks of foreign keys.
async fn execute_unchecked(database: &TestDatabase, statements: &str) -> sqlx::Result<()> {
    if let Some(options) = database.postgres_options() {
        let mut connection = options.connect().await?;
        sqlx::raw_sql("SET session_replication_role = replica").execute(&mut connection).await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
    } else {
        let mut connection = SqliteConnection::connect(&database.url().to_string()).await?;
        sqlx::raw_sql("PRAGMA foreign_keys = off").execute(&mut connection).await?;
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
    }
    Ok(())
}

/// Registers Alice with the devices 1 and 2, and Carol with the device 3. Sends them messages until the mailbox of
/// device 1 has the envelopes 1 to 3 and a gap from 4 to 5, the mailbox of device 2 has the envelopes 1 to 3, and the
/// mailbox of device 3 has one envelope.
async fn fill(stores: &Stores) {
    add(stores, "alice").await;
    send(stores, &["alice"], 9).await;
    send(stores, &["alice"], 9).await;
    let login = NewSession {
        may_add_device: true,
        user_id: UserId::new(1),
        password_hash: PasswordHash::new("hash".to_owned()),
        device: None,
        device_name: DeviceName::new(String::new()).unwrap(),
        incarnation: Incarnation::new(1),
        token: Token::from_random([1; 32]).hash(),
        now: now(),
    };
    assert!(matches!(stores.sessions.open(login).await.unwrap(), OpenSessionOutcome::Opened(..)));
    add(stores, "carol").await;
    send(stores, &["alice", "carol"], 9).await;
    send(stores, &["alice"], 3).await;
    send(stores, &["alice"], 3).await;
}

async fn add(stores: &Stores, name: &str) {
    let new = NewUser {
        username: Username::new(name).unwrap(),
        password_hash: PasswordHash::new("hash".to_owned()),
        public_key: PublicKey::new(String::new()).unwrap(),
        private_key: None,
        info: Info::new(String::new()).unwrap(),
        device_name: DeviceName::new(String::new()).unwrap(),
        incarnation: Incarnation::new(1),
        token: None,
        created_at: now(),
    };
    stores.users.add(new).await.unwrap().unwrap();
}

/// Stores a message for the recipients. A mailbox that already contains `messages` messages is full. The send has an
/// idempotency key if Carol is among the recipients.
async fn send(stores: &Stores, recipients: &[&str], messages: u64) {
    let addressed = |name: &&str| AddressedContents {
        recipient: Username::new(name).unwrap(),
        contents: Contents::new("hello".to_owned()).unwrap(),
    };
    let addressed: Vec<_> = recipients.iter().map(addressed).collect();
    let fingerprint = Fingerprint::of(addressed.iter().map(|to| (&to.recipient, &to.contents)), None);
    let key = recipients.contains(&"carol").then(|| (IdempotencyKey::new("key").unwrap(), fingerprint));
    let delivery = NewDelivery {
        sender: Username::new("bob").unwrap(),
        sender_device: DeviceId::new(4711),
        session: None,
        recipients: addressed,
        now: now(),
        ttl_seconds: 60,
        quota: Quota { messages, bytes: 1000 },
        idempotency: key,
    };
    let outcome = stores.mailboxes.deliver(delivery).await.unwrap();
    assert!(matches!(outcome, DeliverOutcome::Stored { .. }), "{outcome:?}");
}

fn now() -> Timestamp {
    Timestamp::from_seconds(1_700_000_000)
}
