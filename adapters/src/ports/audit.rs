use conditional_trait_gen::trait_gen;
use woosh_domain::model::Timestamp;
use woosh_domain::ports::{Mailboxes as _, PortError};
use woosh_domain::use_cases::ForgetKeys;

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{SqlError, SqlStore};

/// A kind of row that the tables must not contain, and a query that counts such rows.
type Violation = (&'static str, &'static str);

/// Builds a query that counts the message ids for which a condition holds. The query reads the tables `messages` and
/// `envelopes`, each once, and groups their rows by message id. For each id, the condition can use three numbers:
/// - `sum(messages)`: 1 if there is a message with the id, otherwise 0.
/// - `sum(copies)`: the number of copies that the row of the message states, or 0 if there is no message with the id.
/// - `sum(envelopes)`: the number of envelopes with the message id.
macro_rules! count_messages {
    ($condition:literal) => {
        concat!(
            "SELECT count(*) FROM (
                 SELECT id FROM (
                     SELECT id, 1 AS messages, copies, 0 AS envelopes FROM messages
                     UNION ALL SELECT message_id, 0, 0, 1 FROM envelopes
                 ) AS both_tables
                 GROUP BY id HAVING ",
            $condition,
            ") AS found"
        )
    };
}

/// Rows that the tables must not contain after a sweep. Unlike [`EXPIRED`], the queries do not use the time of the
/// sweep.
const VIOLATIONS: &[Violation] = &[
    ("users without a device", "SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM devices)"),
    ("devices without a user", "SELECT count(*) FROM devices WHERE user_id NOT IN (SELECT id FROM users)"),
    ("devices without a mailbox", "SELECT count(*) FROM devices WHERE id NOT IN (SELECT device_id FROM mailboxes)"),
    ("mailboxes without a device", "SELECT count(*) FROM mailboxes WHERE device_id NOT IN (SELECT id FROM devices)"),
    ("sessions without a device", "SELECT count(*) FROM sessions WHERE device_id NOT IN (SELECT id FROM devices)"),
    (
        "stream tickets without a session",
        "SELECT count(*) FROM stream_tickets WHERE session_id NOT IN (SELECT id FROM sessions)",
    ),
    ("gaps without a mailbox", "SELECT count(*) FROM gaps WHERE device_id NOT IN (SELECT device_id FROM mailboxes)"),
    (
        "mailboxes whose totals differ from their envelopes",
        "SELECT count(*) FROM mailboxes mb
         WHERE pending <> (SELECT count(*) FROM envelopes e WHERE e.device_id = mb.device_id)
            OR bytes <> (SELECT coalesce(sum(size), 0) FROM envelopes e WHERE e.device_id = mb.device_id)",
    ),
    (
        "mailboxes whose numbers are inconsistent",
        "SELECT count(*) FROM mailboxes
         WHERE acknowledged < 0 OR acknowledged > last_sequence OR refused_from < 0 OR refused_from > last_sequence",
    ),
    (
        "envelopes outside the sequence numbers of their mailbox",
        "SELECT count(*) FROM envelopes e JOIN mailboxes mb ON mb.device_id = e.device_id
         WHERE e.sequence <= mb.acknowledged OR e.sequence > mb.last_sequence",
    ),
    (
        "envelopes whose size differs from the contents of their message",
        "SELECT count(*) FROM envelopes e JOIN messages m ON m.id = e.message_id WHERE e.size <> length(m.contents)",
    ),
    (
        "messages whose number of copies differs from their envelopes",
        count_messages!("sum(messages) > 0 AND sum(envelopes) > 0 AND sum(copies) <> sum(envelopes)"),
    ),
    ("messages without an envelope", count_messages!("sum(envelopes) = 0")),
    ("envelopes without a message", count_messages!("sum(messages) = 0")),
    (
        "gaps outside the sequence numbers of their mailbox",
        "SELECT count(*) FROM gaps g JOIN mailboxes mb ON mb.device_id = g.device_id
         WHERE g.first_sequence < 1 OR g.first_sequence > g.last_sequence OR g.last_sequence <= mb.acknowledged
            OR g.last_sequence > mb.last_sequence",
    ),
    (
        "gaps that overlap another gap",
        "SELECT count(*) FROM gaps g
         WHERE EXISTS (SELECT 1 FROM gaps other
                       WHERE other.device_id = g.device_id AND other.first_sequence > g.first_sequence
                         AND other.first_sequence <= g.last_sequence)",
    ),
    (
        "gaps that contain an envelope",
        "SELECT count(*) FROM gaps g
         WHERE EXISTS (SELECT 1 FROM envelopes e
                       WHERE e.device_id = g.device_id AND e.sequence >= g.first_sequence
                         AND e.sequence <= g.last_sequence)",
    ),
    (
        "gaps at the end of a mailbox that does not continue them",
        "SELECT count(*) FROM gaps g
         JOIN mailboxes mb ON mb.device_id = g.device_id AND mb.last_sequence = g.last_sequence
         WHERE mb.refused_from <> g.first_sequence",
    ),
    (
        "envelopes without a mailbox",
        "SELECT count(*) FROM envelopes WHERE device_id NOT IN (SELECT device_id FROM mailboxes)",
    ),
    ("deleted devices that are not purged", "SELECT count(*) FROM purges"),
];

/// Envelopes that must not exist after a sweep at the time `$1`.
const EXPIRED: Violation = ("expired envelopes", "SELECT count(*) FROM envelopes WHERE expires_at <= $1");
/// Idempotency keys that must not exist after old keys were deleted. `$1` is the oldest generation whose keys are kept.
const OLD_KEYS: Violation =
    ("outdated idempotency keys", "SELECT count(*) FROM idempotency_keys WHERE generation < $1");

/// Finds rows that contradict rows of other tables, such as an envelope without a message. For tests.
pub(crate) trait Audit: SqlStore {
    /// Returns a line of text for each kind of inconsistency that the tables contain after a sweep at the time `now`.
    fn audit(&self, now: Timestamp) -> impl Future<Output = Result<Vec<String>, PortError>> + Send;
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Audit for Store {
    async fn audit(&self, now: Timestamp) -> Result<Vec<String>, PortError> {
        let oldest_key = self.key_generation().await?.earlier(ForgetKeys::KEPT);
        let timeless = VIOLATIONS.iter().map(|violation| (*violation, None));
        let timed = [(EXPIRED, Some(now.micros())), (OLD_KEYS, Some(oldest_key.get()))];
        let mut found = Vec::new();
        for ((violation, query), limit) in timeless.chain(timed) {
            let mut query = sqlx::query_scalar(query);
            if let Some(limit) = limit {
                query = query.bind(limit);
            }
            let count: i64 = query.fetch_one(self.read_pool()).await.map_err(SqlError::from)?;
            if count > 0 {
                found.push(format!("{count} {violation}"));
            }
        }
        Ok(found)
    }
}
