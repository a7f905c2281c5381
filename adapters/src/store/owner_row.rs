use sqlx::FromRow;

/// A session, with its user and its device.
#[derive(FromRow)]
pub(crate) struct OwnerRow {
    pub(crate) id: i64,
    pub(crate) user_id: i64,
    pub(crate) username: String,
    pub(crate) device_id: i64,
}
