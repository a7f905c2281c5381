use std::time::Duration;

use anyhow::Context as _;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::Plan;
use crate::TestDatabase;

const USERS: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $2)
    INSERT INTO users (username, username_key, password_hash, public_key, info, created_at)
    SELECT $1 || i, $1 || i, 'none', x'6b', x'', 0 FROM n";
const DEVICES: &str = "
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
    INSERT INTO devices (user_id, created_at)
    SELECT id, 0 FROM users, n WHERE id > (SELECT max(id) FROM users) - $2 ORDER BY id, i";
const MAILBOXES: &str = "
    INSERT INTO mailboxes (device_id, incarnation, last_sequence, acknowledged, not_before, closed_at)
    SELECT id, 1, 0, 0, 0, 0 FROM devices WHERE id > (SELECT max(id) FROM devices) - $2 * $3";
const SESSIONS: &str = "
    INSERT INTO sessions (device_id, token_hash, created_at)
    SELECT (SELECT max(id) FROM devices) - $2 * $3 + 1 + key, unhex(value), 0 FROM json_each($4)";

/// Adds users to a SQLite database. The statements assume that the ids of the new rows are consecutive. This holds,
/// because no other process adds users at the same time.
pub(super) async fn add(database: &TestDatabase, plan: &Plan<'_>) -> anyhow::Result<()> {
    let options: SqliteConnectOptions = database.url().to_string().parse()?;
    let mut connection = options.busy_timeout(Duration::from_secs(30)).connect().await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let hashes = serde_json::to_string(&plan.token_hashes)?;
    for statement in [USERS, DEVICES, MAILBOXES, SESSIONS] {
        let query = sqlx::query(statement).bind(plan.prefix).bind(plan.users).bind(plan.devices).bind(&hashes);
        query.execute(&mut *transaction).await.context("can't add users to the database")?;
    }
    transaction.commit().await?;
    Ok(connection.close().await?)
}
