use anyhow::Context as _;
use sqlx::{ConnectOptions as _, Connection as _};

use super::Plan;
use crate::TestDatabase;

const USERS: &str = "
    INSERT INTO users (username, username_key, password_hash, public_key, info, created_at)
    SELECT $1 || i, $1 || i, 'none', 'k', '', 0 FROM generate_series(1, $2) i ORDER BY i";
const DEVICES: &str = "
    INSERT INTO devices (user_id, created_at)
    SELECT id, 0 FROM users, generate_series(1, $2) i WHERE id > (SELECT max(id) FROM users) - $1 ORDER BY id, i";
const MAILBOXES: &str = "
    INSERT INTO mailboxes (device_id, incarnation, last_sequence, acknowledged, not_before, closed_at)
    SELECT id, 1, 0, 0, 0, 0 FROM devices WHERE id > (SELECT max(id) FROM devices) - $1 ORDER BY id";
const SESSIONS: &str = "
    INSERT INTO sessions (device_id, token_hash, created_at)
    SELECT (SELECT max(id) FROM devices) - $1 + number, decode(hash, 'hex'), 0
    FROM unnest($2::text[]) WITH ORDINALITY AS t (hash, number)";

/// Adds users to a Postgres database. The statements assume that the ids of the new rows are consecutive. This holds,
/// because no other process adds users at the same time.
pub(super) async fn add(database: &TestDatabase, plan: &Plan<'_>) -> anyhow::Result<()> {
    let options = database.postgres_options().context("the database is not on Postgres")?;
    let mut connection = options.connect().await?;
    let mut transaction = connection.begin().await?;
    let (users, devices) = (i64::from(plan.users), i64::from(plan.devices));
    for query in [
        sqlx::query(USERS).bind(plan.prefix).bind(plan.users.cast_signed()),
        sqlx::query(DEVICES).bind(users).bind(plan.devices.cast_signed()),
        sqlx::query(MAILBOXES).bind(users * devices),
        sqlx::query(SESSIONS).bind(users * devices).bind(&plan.token_hashes),
    ] {
        query.execute(&mut *transaction).await.context("can't add users to the database")?;
    }
    transaction.commit().await?;
    Ok(connection.close().await?)
}
