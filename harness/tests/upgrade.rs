//! Verifies promise D2 (no loss) of the delivery contract: a database of an older version is migrated without losing
//! messages.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use libtest_mimic::{Arguments, Failed};
use sqlx::migrate::Migrator;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, SqliteConnection};
use woosh_adapters::database::{Database, DatabaseUrl};
use woosh_domain::model::{DeviceId, SequenceNumber, Timestamp, Username};
use woosh_domain::ports::{MailboxPage, PageLimit};
use woosh_harness::{Backend, TestDatabase};

const NAME: &str = "messages_stored_by_the_first_version_can_be_read_and_acknowledged_after_migration";

/// Statements that insert rows as the first version of the server wrote them. Alice has three messages on the first of
/// her two devices: one is acknowledged, and one is empty.
const OLD_ROWS: &str = "
INSERT INTO users (username, username_key, password_hash, public_key, private_key, info, created_at)
VALUES ('Alice', 'alice', 'hash', 'key', NULL, 'tea', 5);
INSERT INTO devices (user_id, created_at) VALUES (1, 5), (1, 6);
INSERT INTO mailboxes (device_id, last_sequence, acknowledged, not_before, closed_at) VALUES
    (1, 3, 1, 30, 20), (2, 0, 0, 30, 20);
INSERT INTO messages (sender, recipient, contents, sent_at, copies) VALUES
    ('Bob', 'Alice', 'gone', 10, 1), ('Bob', 'Alice', '', 20, 1), ('Bob', 'Alice', 'three', 30, 1);
DELETE FROM messages WHERE id = 1;
INSERT INTO envelopes (device_id, sequence, message_id) VALUES (1, 2, 2), (1, 3, 3);
";

static SQLITE: Migrator = sqlx::migrate!("../adapters/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("../adapters/migrations/postgres");

fn main() {
    let trial = |backend: Backend| support::trial(&backend.to_string(), backend, NAME, move || upgrade(backend));
    let unlimited = support::trial("postgres", Backend::Postgres, "a_migration_takes_as_long_as_it_needs", unlimited);
    libtest_mimic::run(&Arguments::from_args(), vec![trial(Backend::Sqlite), trial(Backend::Postgres), unlimited])
        .exit();
}

fn first_version(migrations: &Migrator) -> Migrator {
    Migrator::with_migrations(migrations.iter().filter(|migration| migration.version <= 2).cloned().collect())
}

async fn fill_sqlite(url: &DatabaseUrl) -> sqlx::Result<()> {
    let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await?;
    first_version(&SQLITE).run(&mut connection).await?;
    // SQLite does not convert text to a blob by itself.
    let rows = OLD_ROWS.replace("'key'", "x'6b6579'").replace("'tea'", "x'746561'");
    let rows = rows.replace("'gone'", "x'676f6e65'").replace("''", "x''").replace("'three'", "x'7468726565'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(rows)).execute(&mut connection).await?;
    connection.close().await
}

async fn fill_postgres(mut connection: PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut connection).await?;
    first_version(&POSTGRES).run(&mut connection).await?;
    sqlx::raw_sql(OLD_ROWS).execute(&mut connection).await?;
    connection.close().await
}

/// Inserts an envelope as a server of the first version does if it still runs beside a newer server. The first version
/// sets no expiry time, so the new schema must refuse the insert.
async fn insert_as_the_first_version(test_database: &TestDatabase) -> sqlx::Result<()> {
    const INSERT: &str = "INSERT INTO envelopes (device_id, sequence, message_id) VALUES (1, 4, 4)";
    match test_database.postgres_options() {
        None => sqlx::raw_sql(INSERT)
            .execute(&mut SqliteConnection::connect(&test_database.url().to_string()).await?)
            .await?
            .rows_affected(),
        Some(options) => sqlx::raw_sql(INSERT).execute(&mut options.connect().await?).await?.rows_affected(),
    };
    Ok(())
}

/// Verifies promise D2 (no loss) of the delivery contract: after the migration, the mailboxes still contain all
/// messages that the first version stored and no client acknowledged.
fn upgrade(backend: Backend) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let test_database = TestDatabase::create(backend).await.map_err(|error| format!("{error:#}"))?;
        match test_database.postgres_options() {
            None => fill_sqlite(test_database.url()).await?,
            Some(options) => fill_postgres(options.connect().await?).await?,
        }
        let database = Database::open(test_database.url(), Duration::ZERO).await?;
        let stores = database.stores();
        let alice = stores.users.find(&Username::new("alice")?).await?.unwrap();
        assert_eq!((alice.info.as_str(), alice.version.get()), ("tea", 1));
        assert_eq!(stores.devices.list(alice.id).await?.len(), 2);

        let mailbox = DeviceId::new(1);
        let read = async |mailbox| {
            let limit = PageLimit { count: 10, bytes: 1000 };
            stores
                .mailboxes
                .read(mailbox, SequenceNumber::ZERO, limit, Timestamp::from_seconds(1))
                .await
                .unwrap()
                .unwrap()
        };
        let page = read(mailbox).await;
        assert_ne!(page.incarnation, read(DeviceId::new(2)).await.incarnation);
        let envelopes: Vec<_> = page
            .envelopes
            .iter()
            .map(|envelope| {
                let message = &envelope.message;
                (envelope.sequence.get(), message.id.get(), message.contents.as_str())
            })
            .collect();
        assert_eq!(envelopes, [(2, 2, ""), (3, 3, "three")]);
        let message = &page.envelopes[1].message;
        assert_eq!(message.sender_device, None);
        assert_eq!(message.expires_at, message.sent_at.plus_seconds(30 * 24 * 60 * 60));
        assert_eq!((page.acknowledged.get(), page.gaps.len()), (1, 0));

        stores.mailboxes.acknowledge(mailbox, SequenceNumber::new(3), None, 10).await?;
        let empty = MailboxPage { acknowledged: SequenceNumber::new(3), envelopes: Vec::new(), ..page };
        assert_eq!(read(mailbox).await, empty);
        assert!(insert_as_the_first_version(&test_database).await.is_err());
        database.close().await;
        Ok(())
    })
}

/// Statements that make the database record the `statement_timeout` with which each update of messages runs. Migrations
/// must run without a time limit.
const RECORD: &str = "
CREATE TABLE recorded (value TEXT);
CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO recorded VALUES (current_setting('statement_timeout'));
    RETURN NULL;
END $$;
CREATE TRIGGER record AFTER UPDATE ON messages EXECUTE FUNCTION record()";

fn unlimited() -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(async {
        let test_database = TestDatabase::create(Backend::Postgres).await.map_err(|error| format!("{error:#}"))?;
        let options = test_database.postgres_options().unwrap();
        fill_postgres(options.connect().await?).await?;
        let mut connection = options.connect().await?;
        let limit = format!("ALTER DATABASE {} SET statement_timeout = '1min'", options.get_database().unwrap());
        sqlx::raw_sql(sqlx::AssertSqlSafe(limit)).execute(&mut connection).await?;
        sqlx::raw_sql(RECORD).execute(&mut connection).await?;
        Database::open(test_database.url(), Duration::ZERO).await?.close().await;
        let recorded: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT value FROM recorded").fetch_all(&mut connection).await?;
        assert_eq!(recorded, ["0"]);
        Ok(())
    })
}
