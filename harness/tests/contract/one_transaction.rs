//! Verifies promise D4 (idempotent send) of the delivery contract: a send and its idempotency key are stored in one
//! transaction.

use std::time::Duration;

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use woosh_adapters::database::Database;
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_harness::{Backend, TestDatabase};

use super::fixture::{add, delivery, now};

/// Makes every transaction fail at its commit if the transaction inserts a row into the table `{table}`.
const REFUSE_ON_POSTGRES: &str = "
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse()";
const ACCEPT_ON_POSTGRES: &str = "DROP FUNCTION refuse CASCADE";
const REFUSE_ON_SQLITE: &str = "
CREATE TABLE missing (id INTEGER PRIMARY KEY);
CREATE TABLE refused (id INTEGER REFERENCES missing DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER refuse AFTER INSERT ON {table} BEGIN INSERT INTO refused VALUES (1); END";
const ACCEPT_ON_SQLITE: &str = "DROP TRIGGER refuse; DROP TABLE refused; DROP TABLE missing";

/// Makes the commit of a send fail, in some cases because of the row of its message, in others because of the row of
/// its idempotency key. Checks that neither row is stored, and that a retry then stores both.
pub(crate) async fn check(backend: Backend) -> anyhow::Result<()> {
    let test_database = TestDatabase::create(backend).await?;
    let database = Database::open(test_database.url(), Duration::ZERO).await?;
    let stores = database.stores();
    add(&stores, "full").await;
    let stored = stores.mailboxes.deliver(delivery(&["full"], None)).await?;
    assert!(matches!(stored, DeliverOutcome::Stored { .. }), "{stored:?}");

    for table in ["messages", "idempotency_keys"] {
        // On Postgres, the server stores a send with locks if one of the mailboxes is full, and without locks
        // otherwise.
        for others in [vec![], vec!["full"]] {
            let name = format!("user-{table}-{}", others.len()).replace('_', "-");
            let mailbox = add(&stores, &name).await;
            let recipients = [vec![name.as_str()], others].concat();
            let send = delivery(&recipients, Some(&name));
            execute(&test_database, REFUSE_ON_SQLITE, REFUSE_ON_POSTGRES, table).await?;
            stores.mailboxes.deliver(send.clone()).await.unwrap_err();
            execute(&test_database, ACCEPT_ON_SQLITE, ACCEPT_ON_POSTGRES, table).await?;
            assert_eq!(count(&stores, mailbox).await, 0, "{name}: the message is stored without its key");

            let retried = stores.mailboxes.deliver(send.clone()).await?;
            let DeliverOutcome::Stored { receipt, .. } = retried else { panic!("{name}: {retried:?}") };
            assert_eq!(stores.mailboxes.deliver(send).await?, DeliverOutcome::Repeated(receipt), "{name}");
            assert_eq!(count(&stores, mailbox).await, 1, "{name}");
        }
    }
    database.close().await;
    Ok(())
}

async fn execute(database: &TestDatabase, sqlite: &str, postgres: &str, table: &str) -> sqlx::Result<()> {
    let statements = |text: &str| AssertSqlSafe(text.replace("{table}", table));
    if let Some(options) = database.postgres_options() {
        sqlx::raw_sql(statements(postgres)).execute(&mut options.connect().await?).await?;
    } else {
        let mut connection = SqliteConnection::connect(&database.url().to_string()).await?;
        sqlx::raw_sql(statements(sqlite)).execute(&mut connection).await?;
        connection.close().await?;
    }
    Ok(())
}

/// Returns the number of envelopes in a mailbox.
async fn count(stores: &Stores, mailbox: DeviceId) -> usize {
    let limit = PageLimit { count: 100, bytes: usize::MAX };
    let page = stores.mailboxes.read(mailbox, SequenceNumber::ZERO, limit, now()).await;
    page.unwrap().unwrap().envelopes.len()
}
