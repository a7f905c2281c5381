use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use sqlx::FromRow;
use woosh_domain::model::{Device, DeviceId, DeviceName, Incarnation, Timestamp, UserId};
use woosh_domain::ports::{DeleteDeviceOutcome, Devices, PortError};

use super::end_sessions;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{Cell, Connection, SqlError, SqlStore};

#[derive(FromRow)]
pub(super) struct DeviceRow {
    id: i64,
    name: Vec<u8>,
    created_at: i64,
}

impl TryFrom<DeviceRow> for Device {
    type Error = SqlError;

    fn try_from(row: DeviceRow) -> Result<Self, SqlError> {
        Ok(Self {
            id: DeviceId::new(row.id),
            name: Cell::by_id("devices", "name", row.id).text(row.name, DeviceName::new)?,
            created_at: Timestamp::from_micros(row.created_at),
        })
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Devices for Store {
    async fn list(&self, user: UserId) -> Result<Vec<Device>, PortError> {
        let rows: Vec<DeviceRow> =
            sqlx::query_as("SELECT id, name, created_at FROM devices WHERE user_id = $1 ORDER BY id")
                .bind(user.get())
                .fetch_all(self.read_pool())
                .await
                .map_err(SqlError::from)?;
        Ok(rows.into_iter().map(Device::try_from).collect::<Result<_, _>>()?)
    }

    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError> {
        self.write_then(
            move |connection| {
                Box::pin(async move {
                    // Without the lock, two concurrent deletions would each see the other's device as the remaining
                    // one.
                    if Self::lock_user(connection, user).await?.is_none() {
                        return Ok(DeleteDeviceOutcome::NotFound);
                    }
                    let devices: Vec<i64> = sqlx::query_scalar("SELECT id FROM devices WHERE user_id = $1")
                        .bind(user.get())
                        .fetch_all(&mut *connection)
                        .await?;
                    if !devices.contains(&device.get()) {
                        return Ok(DeleteDeviceOutcome::NotFound);
                    }
                    if devices.len() == 1 {
                        return Ok(DeleteDeviceOutcome::Last);
                    }
                    sqlx::query("INSERT INTO purges (device_id) VALUES ($1)")
                        .bind(device.get())
                        .execute(&mut *connection)
                        .await?;
                    // The foreign keys delete the device's mailbox and sessions.
                    sqlx::query("DELETE FROM devices WHERE id = $1").bind(device.get()).execute(connection).await?;
                    Ok(DeleteDeviceOutcome::Deleted)
                })
            },
            end_sessions(self, user, move |deletion| (*deletion == DeleteDeviceOutcome::Deleted).then(|| vec![device])),
        )
        .await
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    /// Adds a device with an empty mailbox.
    pub(super) async fn add_device(
        connection: &mut Connection<Self>,
        user: i64,
        name: DeviceName,
        incarnation: Incarnation,
        now: Timestamp,
    ) -> Result<Device, SqlError> {
        let row: DeviceRow = sqlx::query_as(
            "INSERT INTO devices (user_id, name, created_at) VALUES ($1, $2, $3) RETURNING id, name, created_at",
        )
        .bind(user)
        .bind(name.into_string().into_bytes())
        .bind(now.micros())
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO mailboxes (device_id, incarnation, last_sequence, acknowledged, not_before, closed_at)
             VALUES ($1, $2, 0, 0, $3, $3)",
        )
        .bind(row.id)
        .bind(incarnation.get())
        .bind(now.micros())
        .execute(connection)
        .await?;
        row.try_into()
    }

    /// Locks a user, so that other changes to its devices wait until this transaction ends. Returns the username in
    /// lower case, or `None` if there is no such user.
    pub(super) async fn lock_user(connection: &mut Connection<Self>, user: UserId) -> Result<Option<String>, SqlError> {
        // Locks the row with an update that changes nothing, because SQLite has no `SELECT … FOR UPDATE`.
        let key = sqlx::query_scalar("UPDATE users SET version = version WHERE id = $1 RETURNING username_key")
            .bind(user.get())
            .fetch_optional(connection)
            .await?;
        Ok(key)
    }
}
