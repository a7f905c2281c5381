use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::FromRow;
use woosh_domain::model::{DeviceId, Info, PasswordHash, PrivateKey, PublicKey, User, UserId, Username};
use woosh_domain::ports::{Credential, NewUser, PortError, Users};

use super::{SqlError, opaque, username};
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

#[derive(FromRow)]
struct UserRow {
    id: i64,
    username: String,
    public_key: Vec<u8>,
    private_key: Option<Vec<u8>>,
    info: Vec<u8>,
}

impl TryFrom<UserRow> for User {
    type Error = SqlError;

    fn try_from(row: UserRow) -> Result<Self, SqlError> {
        let id = row.id;
        let private_key = row.private_key.map(|bytes| opaque("users", "private_key", id, bytes, PrivateKey::new));
        Ok(Self {
            id: UserId::new(id),
            username: username("users", "username", id, &row.username)?,
            public_key: opaque("users", "public_key", id, row.public_key, PublicKey::new)?,
            private_key: private_key.transpose()?,
            info: opaque("users", "info", id, row.info, Info::new)?,
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

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Users for Store {
    async fn add(&self, new: NewUser) -> Result<Option<User>, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row: Option<UserRow> = sqlx::query_as(
                    "INSERT INTO users
                         (username, username_key, password_hash, public_key, private_key, info, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7)
                     ON CONFLICT (username_key) DO NOTHING
                     RETURNING id, username, public_key, private_key, info",
                )
                .bind(new.username.as_str().to_owned())
                .bind(new.username.key())
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

                let (device,): (i64,) =
                    sqlx::query_as("INSERT INTO devices (user_id, created_at) VALUES ($1, $2) RETURNING id")
                        .bind(row.id)
                        .bind(new.created_at.micros())
                        .fetch_one(&mut *connection)
                        .await?;
                sqlx::query(
                    "INSERT INTO mailboxes (device_id, last_sequence, acknowledged, not_before, closed_at)
                     VALUES ($1, 0, 0, $2, $2)",
                )
                .bind(device)
                .bind(new.created_at.micros())
                .execute(&mut *connection)
                .await?;
                row.try_into().map(Some)
            })
        })
        .await
    }

    async fn find(&self, username: &Username) -> Result<Option<User>, PortError> {
        let row: Option<UserRow> =
            sqlx::query_as("SELECT id, username, public_key, private_key, info FROM users WHERE username_key = $1")
                .bind(username.key())
                .fetch_optional(self.readers())
                .await
                .map_err(SqlError::from)?;
        Ok(row.map(User::try_from).transpose()?)
    }

    async fn credential(&self, name: &Username) -> Result<Option<Credential>, PortError> {
        let row: Option<CredentialRow> = sqlx::query_as(
            "SELECT u.id, u.username, u.password_hash, min(d.id) AS first_device
             FROM users u JOIN devices d ON d.user_id = u.id
             WHERE u.username_key = $1
             GROUP BY u.id, u.username, u.password_hash",
        )
        .bind(name.key())
        .fetch_optional(self.readers())
        .await
        .map_err(SqlError::from)?;
        let Some(row) = row else {
            return Ok(None);
        };
        Ok(Some(Credential {
            user_id: UserId::new(row.id),
            username: username("users", "username", row.id, &row.username)?,
            password_hash: PasswordHash::new(row.password_hash),
            first_device: DeviceId::new(row.first_device),
        }))
    }

    async fn set_info(&self, id: UserId, info: Info) -> Result<Option<User>, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let row: Option<UserRow> = sqlx::query_as(
                    "UPDATE users SET info = $2 WHERE id = $1
                     RETURNING id, username, public_key, private_key, info",
                )
                .bind(id.get())
                .bind(info.into_string().into_bytes())
                .fetch_optional(connection)
                .await?;
                row.map(User::try_from).transpose()
            })
        })
        .await
    }
}
