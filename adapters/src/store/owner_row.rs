use sqlx::FromRow;

/// A session with the user and device that it belongs to.
#[derive(FromRow)]
pub(crate) struct OwnerRow {
    pub(crate) id: i64,
    pub(crate) user_id: i64,
    pub(crate) username: String,
    pub(crate) device_id: i64,
}
