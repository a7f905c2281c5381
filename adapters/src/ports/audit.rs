use conditional_trait_gen::trait_gen;
use woosh_domain::ports::PortError;

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{SqlError, SqlStore};

/// Kinds of inconsistencies that the tables must never contain, each with a query that counts the inconsistent rows.
const VIOLATIONS: [(&str, &str); 3] = [
    (
        "mailboxes whose totals differ from their envelopes",
        "SELECT count(*) FROM mailboxes mb
         WHERE pending <> (SELECT count(*) FROM envelopes e WHERE e.device_id = mb.device_id)
            OR bytes <> (SELECT coalesce(sum(size), 0) FROM envelopes e WHERE e.device_id = mb.device_id)",
    ),
    (
        "envelopes without a mailbox, or outside the sequence numbers of their mailbox",
        "SELECT count(*) FROM envelopes e LEFT JOIN mailboxes mb ON mb.device_id = e.device_id
         WHERE mb.device_id IS NULL OR e.sequence <= mb.acknowledged OR e.sequence > mb.last_sequence",
    ),
    (
        "messages whose number of copies differs from their envelopes",
        "SELECT count(*) FROM messages m
         WHERE copies <> (SELECT count(*) FROM envelopes e WHERE e.message_id = m.id)",
    ),
];

/// Finds rows that contradict rows of other tables, such as an envelope without a message. For tests.
pub(crate) trait Audit: SqlStore {
    /// Returns a line of text for each kind of inconsistency that the tables contain.
    fn audit(&self) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Audit for Store {
    async fn audit(&self) -> Result<Vec<String>, PortError> {
        let mut found = Vec::new();
        for (violation, query) in VIOLATIONS {
            let count: i64 = sqlx::query_scalar(query).fetch_one(self.read_pool()).await.map_err(SqlError::from)?;
            if count > 0 {
                found.push(format!("{count} {violation}"));
            }
        }
        Ok(found)
    }
}
