use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::FromRow;
use woosh_domain::model::{
    Device, DeviceId, MAX_DEVICES, MAX_SESSIONS, Session, SessionId, Timestamp, TokenHash, UserId,
};
use woosh_domain::ports::{NewSession, OpenSessionOutcome, PortError, SessionOwner, Sessions};

use super::devices::DeviceRow;
use super::{device_ids, end_sessions};
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{Cell, Connection, SqlError, SqlStore};

#[derive(FromRow)]
struct SessionRow {
    id: i64,
    device_id: i64,
    created_at: i64,
}

impl From<SessionRow> for Session {
    fn from(row: SessionRow) -> Self {
        Self {
            id: SessionId::new(row.id),
            device: DeviceId::new(row.device_id),
            created_at: Timestamp::from_micros(row.created_at),
        }
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Sessions for Store {
    async fn open(&self, new: NewSession) -> Result<OpenSessionOutcome, PortError> {
        let user = new.user_id;
        let work = self.write_then(
            move |connection| Box::pin(Self::open_session(connection, new)),
            end_sessions(self, user, |(_, ended): &(OpenSessionOutcome, Vec<DeviceId>)| {
                (!ended.is_empty()).then(|| ended.clone())
            }),
        );
        Ok(work.await?.0)
    }

    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError> {
        let cache = self.session_cache();
        if Self::IS_ONLY_PROCESS
            && let Some(owner) = cache.get(token)
        {
            return Ok(Some(owner));
        }
        let generation = cache.generation();
        let row = self.find_session(token).await?;
        let Some(row) = row else {
            return Ok(None);
        };
        let owner = SessionOwner {
            session: SessionId::new(row.id),
            user_id: UserId::new(row.user_id),
            username: Cell::by_id("users", "username", row.user_id).username(&row.username)?,
            device: DeviceId::new(row.device_id),
        };
        cache.insert(*token, owner.clone(), generation);
        Ok(Some(owner))
    }

    fn recall(&self, token: &TokenHash) -> Option<SessionOwner> {
        self.session_cache().get(token)
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError> {
        let rows: Vec<SessionRow> = sqlx::query_as(
            "SELECT s.id, s.device_id, s.created_at FROM sessions s JOIN devices d ON d.id = s.device_id
             WHERE d.user_id = $1 ORDER BY s.id",
        )
        .bind(user.get())
        .fetch_all(self.read_pool())
        .await
        .map_err(SqlError::from)?;
        Ok(rows.into_iter().map(Session::from).collect())
    }

    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError> {
        let work = self.write_then(
            move |connection| {
                Box::pin(async move {
                    let device: Option<i64> = sqlx::query_scalar(
                        "DELETE FROM sessions
                         WHERE id = $1 AND device_id IN (SELECT id FROM devices WHERE user_id = $2)
                         RETURNING device_id",
                    )
                    .bind(session.get())
                    .bind(user.get())
                    .fetch_optional(connection)
                    .await?;
                    Ok(device.map(DeviceId::new))
                })
            },
            end_sessions(self, user, |device: &Option<DeviceId>| device.map(|device| vec![device])),
        );
        Ok(work.await?.is_some())
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    pub(super) async fn add_session(
        connection: &mut Connection<Self>,
        device: DeviceId,
        token: TokenHash,
        now: Timestamp,
    ) -> Result<Session, SqlError> {
        let row: SessionRow = sqlx::query_as(
            "INSERT INTO sessions (device_id, token_hash, created_at) VALUES ($1, $2, $3)
             RETURNING id, device_id, created_at",
        )
        .bind(device.get())
        .bind(token.as_bytes().to_vec())
        .bind(now.micros())
        .fetch_one(connection)
        .await?;
        Ok(row.into())
    }

    /// Opens a session. If the device then has too many sessions, ends the oldest ones. Returns the outcome, and for
    /// each session that was ended, the identifier of the device.
    async fn open_session(
        connection: &mut Connection<Self>,
        new: NewSession,
    ) -> Result<(OpenSessionOutcome, Vec<DeviceId>), SqlError> {
        Self::lock_user(connection, new.user_id).await?;
        let hash: Option<String> = sqlx::query_scalar("SELECT password_hash FROM users WHERE id = $1")
            .bind(new.user_id.get())
            .fetch_optional(&mut *connection)
            .await?;
        if hash.as_deref() != Some(new.password_hash.reveal()) {
            return Ok((OpenSessionOutcome::Superseded, Vec::new()));
        }
        let rows: Vec<DeviceRow> = sqlx::query_as("SELECT id, name, created_at FROM devices WHERE user_id = $1")
            .bind(new.user_id.get())
            .fetch_all(&mut *connection)
            .await?;
        let devices: Vec<Device> = rows.into_iter().map(Device::try_from).collect::<Result<_, _>>()?;
        let count = devices.len();
        let device = match devices.into_iter().find(|device| Some(device.id) == new.device) {
            Some(device) => device,
            None if !new.may_add_device => return Ok((OpenSessionOutcome::NoDevice, Vec::new())),
            None if count >= MAX_DEVICES => return Ok((OpenSessionOutcome::TooManyDevices, Vec::new())),
            None => Self::add_device(connection, new.user_id.get(), new.device_name, new.incarnation, new.now).await?,
        };
        let session = Self::add_session(connection, device.id, new.token, new.now).await?;
        let ended: Vec<i64> = sqlx::query_scalar(
            "DELETE FROM sessions
             WHERE device_id = $1
               AND id NOT IN (SELECT id FROM sessions WHERE device_id = $1 ORDER BY id DESC LIMIT $2)
             RETURNING device_id",
        )
        .bind(device.id.get())
        .bind(MAX_SESSIONS as i64)
        .fetch_all(connection)
        .await?;
        Ok((OpenSessionOutcome::Opened(session, device), device_ids(ended)))
    }
}
