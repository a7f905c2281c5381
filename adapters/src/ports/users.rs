use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sha2::{Digest as _, Sha256};
use sqlx::FromRow;
use woosh_domain::model::{
    DeviceId, Info, PasswordHash, PrivateKey, PublicKey, SessionId, User, UserId, Username, Version,
};
use woosh_domain::ports::{Credential, NewUser, PortError, RegisteredUser, UpdateUserOutcome, UserChange, Users};

use super::{device_ids, end_sessions};
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{Cell, SqlError, SqlStore, count};

#[derive(FromRow)]
struct UserRow {
    id: i64,
    username: String,
    public_key: Vec<u8>,
    private_key: Option<Vec<u8>>,
    info: Vec<u8>,
    version: i64,
}

impl TryFrom<UserRow> for User {
    type Error = SqlError;

    fn try_from(row: UserRow) -> Result<Self, SqlError> {
        let id = row.id;
        let private_key =
            row.private_key.map(|bytes| Cell::by_id("users", "private_key", id).text(bytes, PrivateKey::new));
        Ok(Self {
            id: UserId::new(id),
            username: Cell::by_id("users", "username", id).username(&row.username)?,
            public_key: Cell::by_id("users", "public_key", id).text(row.public_key, PublicKey::new)?,
            private_key: private_key.transpose()?,
            info: Cell::by_id("users", "info", id).text(row.info, Info::new)?,
            version: Version::new(row.version),
        })
    }
}

#[derive(FromRow)]
struct CredentialRow {
    id: i64,
    username: String,
    password_hash: String,
    first_device: i64,
}

/// Returns the hash of a deleted user's name. The store keeps this hash, so that the name can't be registered again.
fn digest(username_key: &str) -> Vec<u8> {
    Sha256::digest(username_key.as_bytes()).to_vec()
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Users for Store {
    async fn add(&self, new: NewUser) -> Result<Option<RegisteredUser>, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let key = new.username.key();
                let row: Option<UserRow> = sqlx::query_as(
                    "INSERT INTO users
                         (username, username_key, password_hash, public_key, private_key, info, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)
                     ON CONFLICT (username_key) DO NOTHING
                     RETURNING id, username, public_key, private_key, info, version",
                )
                .bind(new.username.as_str().to_owned())
                .bind(key.clone())
                .bind(new.password_hash.reveal().to_owned())
                .bind(new.public_key.into_string().into_bytes())
                .bind(new.private_key.map(|key| key.into_string().into_bytes()))
                .bind(new.info.into_string().into_bytes())
                .bind(new.created_at.micros())
                .fetch_optional(&mut *connection)
                .await?;
                let Some(row) = row else {
                    return Ok(None);
                };
                // Checked after the insert, which waits for a concurrent deletion of a user with that name.
                let retired: Option<i32> = sqlx::query_scalar("SELECT 1 FROM retired_usernames WHERE digest = $1")
                    .bind(digest(&key))
                    .fetch_optional(&mut *connection)
                    .await?;
                if retired.is_some() {
                    sqlx::query("DELETE FROM users WHERE id = $1").bind(row.id).execute(&mut *connection).await?;
                    return Ok(None);
                }

                let device =
                    Self::add_device(connection, row.id, new.device_name, new.incarnation, new.created_at).await?;
                let session = match new.token {
                    Some(token) => Some(Self::add_session(connection, device.id, token, new.created_at).await?),
                    None => None,
                };
                Ok(Some(RegisteredUser { user: row.try_into()?, device, session }))
            })
        })
        .await
    }

    async fn find(&self, username: &Username) -> Result<Option<User>, PortError> {
        let row: Option<UserRow> = sqlx::query_as(
            "SELECT id, username, public_key, private_key, info, version FROM users WHERE username_key = $1",
        )
        .bind(username.key())
        .fetch_optional(self.read_pool())
        .await
        .map_err(SqlError::from)?;
        Ok(row.map(User::try_from).transpose()?)
    }

    async fn search(&self, prefix: &str, after: Option<Username>, limit: usize) -> Result<Vec<User>, PortError> {
        let prefix = prefix.to_ascii_lowercase();
        // Every username with the prefix sorts below the prefix followed by the highest character.
        let end = format!("{prefix}\u{10FFFF}");
        let rows: Vec<UserRow> = sqlx::query_as(
            "SELECT id, username, public_key, private_key, info, version FROM users
             WHERE username_key >= $1 AND username_key < $2 AND username_key > $3
             ORDER BY username_key
             LIMIT $4",
        )
        .bind(prefix)
        .bind(end)
        .bind(after.map(|after| after.key()).unwrap_or_default())
        .bind(count(limit))
        .fetch_all(self.read_pool())
        .await
        .map_err(SqlError::from)?;
        Ok(rows.into_iter().map(User::try_from).collect::<Result<_, _>>()?)
    }

    async fn credential(&self, name: &Username) -> Result<Option<Credential>, PortError> {
        let row: Option<CredentialRow> = sqlx::query_as(
            "SELECT u.id, u.username, u.password_hash, min(d.id) AS first_device
             FROM users u JOIN devices d ON d.user_id = u.id
             WHERE u.username_key = $1
             GROUP BY u.id, u.username, u.password_hash",
        )
        .bind(name.key())
        .fetch_optional(self.read_pool())
        .await
        .map_err(SqlError::from)?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Credential {
            user_id: UserId::new(row.id),
            username: Cell::by_id("users", "username", row.id).username(&row.username)?,
            password_hash: PasswordHash::new(row.password_hash),
            first_device: DeviceId::new(row.first_device),
        }))
    }

    async fn update(
        &self,
        id: UserId,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<UpdateUserOutcome, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let sets_private_key = change.private_key.is_some();
                let row: Option<UserRow> = sqlx::query_as(
                    "UPDATE users SET
                         public_key = coalesce($3, public_key),
                         private_key = CASE WHEN $4 THEN $5 ELSE private_key END,
                         info = coalesce($6, info),
                         version = version + 1
                     WHERE id = $1 AND version = coalesce($2, version)
                     RETURNING id, username, public_key, private_key, info, version",
                )
                .bind(id.get())
                .bind(expected.map(Version::get))
                .bind(change.public_key.map(|key| key.into_string().into_bytes()))
                .bind(sets_private_key)
                .bind(change.private_key.flatten().map(|key| key.into_string().into_bytes()))
                .bind(change.info.map(|info| info.into_string().into_bytes()))
                .fetch_optional(&mut *connection)
                .await?;
                if let Some(row) = row {
                    return Ok(UpdateUserOutcome::Updated(row.try_into()?));
                }
                let existing: Option<i64> = sqlx::query_scalar("SELECT id FROM users WHERE id = $1")
                    .bind(id.get())
                    .fetch_optional(connection)
                    .await?;
                Ok(if existing.is_some() { UpdateUserOutcome::VersionMismatch } else { UpdateUserOutcome::NotFound })
            })
        })
        .await
    }

    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
        keep: SessionId,
    ) -> Result<bool, PortError> {
        let old = old.reveal().to_owned();
        let work = self.write_then(
            move |connection| {
                Box::pin(async move {
                    let changed =
                        sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
                            .bind(id.get())
                            .bind(old)
                            .bind(new.reveal().to_owned())
                            .execute(&mut *connection)
                            .await?;
                    if changed.rows_affected() == 0 {
                        return Ok(None);
                    }
                    let devices: Vec<i64> = sqlx::query_scalar(
                        "DELETE FROM sessions
                         WHERE device_id IN (SELECT id FROM devices WHERE user_id = $1) AND id <> $2
                         RETURNING device_id",
                    )
                    .bind(id.get())
                    .bind(keep.get())
                    .fetch_all(connection)
                    .await?;
                    Ok(Some(device_ids(devices)))
                })
            },
            end_sessions(self, id, Clone::clone),
        );
        Ok(work.await?.is_some())
    }

    async fn delete(&self, id: UserId) -> Result<bool, PortError> {
        let work = self.write_then(
            move |connection| {
                Box::pin(async move {
                    let Some(key) = Self::lock_user(connection, id).await? else {
                        return Ok(None);
                    };
                    Self::lock_mailboxes(connection, id).await?;
                    let devices: Vec<i64> = sqlx::query_scalar(
                        "INSERT INTO purges (device_id) SELECT id FROM devices WHERE user_id = $1 RETURNING device_id",
                    )
                    .bind(id.get())
                    .fetch_all(&mut *connection)
                    .await?;
                    sqlx::query("INSERT INTO retired_usernames (digest) VALUES ($1)")
                        .bind(digest(&key))
                        .execute(&mut *connection)
                        .await?;
                    // The foreign keys delete the user's devices, and the mailboxes and sessions of these devices.
                    sqlx::query("DELETE FROM users WHERE id = $1").bind(id.get()).execute(connection).await?;
                    Ok(Some(device_ids(devices)))
                })
            },
            end_sessions(self, id, Clone::clone),
        );
        Ok(work.await?.is_some())
    }
}
