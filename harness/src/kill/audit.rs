use std::str::FromStr as _;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::TestDatabase;

/// What must not be in the tables, whatever has happened, and how to count it on both databases.
const WRONG: [(&str, &str); 3] = [
    (
        "mailboxes whose totals are wrong",
        "SELECT count(*) FROM mailboxes mb
         WHERE pending <> (SELECT count(*) FROM envelopes e WHERE e.device_id = mb.device_id)
            OR bytes <> (SELECT coalesce(sum(size), 0) FROM envelopes e WHERE e.device_id = mb.device_id)",
    ),
    (
        "envelopes that nobody can read",
        "SELECT count(*) FROM envelopes e LEFT JOIN mailboxes mb ON mb.device_id = e.device_id
         WHERE mb.device_id IS NULL OR e.sequence <= mb.acknowledged OR e.sequence > mb.last_sequence",
    ),
    (
        "messages whose copies are counted wrong",
        "SELECT count(*) FROM messages m
         WHERE copies <> (SELECT count(*) FROM envelopes e WHERE e.message_id = m.id)",
    ),
];

/// Looks into the tables, and says what is wrong there.
pub(super) async fn audit(database: &TestDatabase) -> sqlx::Result<Vec<String>> {
    let counts = match database.postgres_options() {
        Some(options) => count_on_postgres(options.connect().await?).await?,
        None => {
            let options = SqliteConnectOptions::from_str(&database.url().to_string())?;
            count_on_sqlite(options.connect().await?).await?
        }
    };
    let wrong = WRONG.iter().zip(counts).filter(|(_, count)| *count > 0);
    Ok(wrong.map(|((what, _), count)| format!("{count} {what}")).collect())
}

async fn count_on_postgres(mut connection: PgConnection) -> sqlx::Result<Vec<i64>> {
    let mut counts = Vec::new();
    for (_, query) in WRONG {
        counts.push(sqlx::query_scalar(query).fetch_one(&mut connection).await?);
    }
    connection.close().await?;
    Ok(counts)
}

async fn count_on_sqlite(mut connection: SqliteConnection) -> sqlx::Result<Vec<i64>> {
    let mut counts = Vec::new();
    for (_, query) in WRONG {
        counts.push(sqlx::query_scalar(query).fetch_one(&mut connection).await?);
    }
    connection.close().await?;
    Ok(counts)
}
