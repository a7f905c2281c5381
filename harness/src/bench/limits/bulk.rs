use std::time::{Duration, Instant};

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, PgConnection, QueryBuilder, Sqlite, SqliteConnection};
use woosh_server::database::Database;

use crate::bench::args::BenchArgs;
use crate::bench::contents::Contents;
use crate::bench::measure::{Meter, Processes};
use crate::bench::sample::{Sample, Subject};
use crate::postgres::Durability;
use crate::{Backend, TestDatabase};

/// Number of messages that one transaction inserts.
const BATCH: i64 = 500;
/// Number of mailboxes that the envelopes are inserted into.
const MAILBOXES: i64 = 200;
/// Maximum duration of the measurement, in seconds.
const SECONDS: u32 = 2;

/// Measures bulk inserts into a database, with which sends are compared. The inserted rows, the database driver and the
/// durability are those of sends. But no server runs, nothing is checked, and a single connection inserts many messages
/// in each transaction.
pub(super) async fn run(args: &BenchArgs) -> anyhow::Result<Sample> {
    let database = TestDatabase::create_with(args.backend, Durability::Durable).await?;
    // Opening the database creates its tables.
    Database::open(database.url(), Duration::ZERO).await?.close().await;
    let mut text = Vec::new();
    Contents::new(args.size as usize).write(0, 0, &mut text);
    let mut connection = match args.backend {
        Backend::Sqlite => {
            let options: SqliteConnectOptions = database.url().to_string().parse()?;
            Connection::Sqlite(options.synchronous(SqliteSynchronous::Full).connect().await?)
        }
        Backend::Postgres => {
            let options: PgConnectOptions = database.postgres_options().context("the database has no options")?;
            Connection::Postgres(options.connect().await?)
        }
    };
    let (meter, start, mut stored) = (Meter::of(Processes::default()), Instant::now(), 0);
    let limit = Duration::from_secs(args.seconds.min(SECONDS).into());
    while start.elapsed() < limit {
        connection.insert(stored, &text).await.context("can't insert messages in bulk")?;
        stored += BATCH;
    }
    let subject = Subject::new(super::BULK, format!("{BATCH} messages a transaction"), "messages", "").without_pause();
    Ok(Sample::bare(subject, stored.unsigned_abs(), &meter.stop(), Vec::new()))
}

enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    /// Inserts a batch of messages in one transaction. `stored` is the number of messages that earlier calls have
    /// inserted. The numbers of the new messages start at `stored`.
    async fn insert(&mut self, stored: i64, contents: &[u8]) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(connection) => insert_into_sqlite(connection, stored, contents).await,
            Self::Postgres(connection) => insert_into_postgres(connection, stored, contents).await,
        }
    }
}

async fn insert_into_sqlite(connection: &mut SqliteConnection, stored: i64, contents: &[u8]) -> sqlx::Result<()> {
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let columns = "messages (sender, recipient, contents, sent_at, copies, send_id, sender_device)";
    let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO {columns} "));
    query.push_values(0..BATCH, |mut row, index| {
        row.push_bind("sender").push_bind("recipient").push_bind(contents);
        row.push_bind(1).push_bind(1).push_bind(stored + index).push_bind(1);
    });
    query.build().execute(&mut *transaction).await?;
    let columns = "envelopes (device_id, sequence, message_id, size, expires_at)";
    let mut query = QueryBuilder::<Sqlite>::new(format!("INSERT INTO {columns} "));
    query.push_values(0..BATCH, |mut row, index| {
        let number = stored + index;
        row.push_bind(number % MAILBOXES).push_bind(number / MAILBOXES).push_bind(number + 1);
        row.push_bind(contents.len() as i64).push_bind(number);
    });
    query.build().execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn insert_into_postgres(connection: &mut PgConnection, stored: i64, contents: &[u8]) -> sqlx::Result<()> {
    let numbers: Vec<i64> = (stored..stored + BATCH).collect();
    let mut transaction = sqlx::Connection::begin(connection).await?;
    let messages = "
        INSERT INTO messages (sender, recipient, contents, sent_at, copies, send_id, sender_device)
        SELECT 'sender', 'recipient', contents, 1, 1, number, 1 FROM unnest($1::bigint[], $2::bytea[]) AS t (number, contents)";
    let copies = vec![contents; numbers.len()];
    sqlx::query(messages).bind(&numbers).bind(copies).execute(&mut *transaction).await?;
    let envelopes = "
        INSERT INTO envelopes (device_id, sequence, message_id, size, expires_at)
        SELECT number % $2, number / $2, number + 1, $3, number FROM unnest($1::bigint[]) AS t (number)";
    let query = sqlx::query(envelopes).bind(&numbers).bind(MAILBOXES).bind(contents.len() as i64);
    query.execute(&mut *transaction).await?;
    transaction.commit().await
}
