use async_trait::async_trait;
use conditional_trait_gen::{trait_gen, when};
use sqlx::{FromRow, Row as _, SqliteConnection};
use woosh_domain::model::{Contents, DeviceId, Envelope, Message, MessageId, SequenceNumber, Timestamp};
use woosh_domain::ports::{Mailboxes, NewMessage, Page, PortError};

use super::{Connection, SqlError, opaque, username};
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

/// A message as it was stored.
#[derive(FromRow)]
struct StoredRow {
    id: i64,
    recipient: String,
    sent_at: i64,
}

impl StoredRow {
    fn into_message(self, new: NewMessage) -> Result<Message, SqlError> {
        Ok(Message {
            id: MessageId::new(self.id),
            sender: new.sender,
            recipient: username("messages", "recipient", self.id, &self.recipient)?,
            contents: new.contents,
            sent_at: Timestamp::from_micros(self.sent_at),
        })
    }
}

#[derive(FromRow)]
struct EnvelopeRow {
    sequence: i64,
    id: i64,
    sender: String,
    recipient: String,
    contents: Vec<u8>,
    sent_at: i64,
}

impl TryFrom<EnvelopeRow> for Envelope {
    type Error = SqlError;

    fn try_from(row: EnvelopeRow) -> Result<Self, SqlError> {
        let message = Message {
            id: MessageId::new(row.id),
            sender: username("messages", "sender", row.id, &row.sender)?,
            recipient: username("messages", "recipient", row.id, &row.recipient)?,
            contents: opaque("messages", "contents", row.id, row.contents, Contents::new)?,
            sent_at: Timestamp::from_micros(row.sent_at),
        };
        Ok(Self { sequence: SequenceNumber::new(row.sequence), message })
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Mailboxes for Store {
    /// The writer has the file to itself, and a statement costs little: one step at a time.
    #[when(SqliteStore -> deliver)]
    async fn deliver_on_sqlite(&self, new: NewMessage) -> Result<Option<Message>, PortError> {
        self.write(move |connection| Box::pin(deliver(connection, new))).await
    }

    /// Other replicas write as well, and each statement is a trip to the server: all in one. It takes the mailboxes in a
    /// fixed order, so that no two deliveries wait for each other, and holds them until it commits, so that sequence
    /// numbers follow the order of commits.
    #[when(PostgresStore -> deliver)]
    async fn deliver_on_postgres(&self, new: NewMessage) -> Result<Option<Message>, PortError> {
        let stored: Option<StoredRow> = sqlx::query_as(
            "WITH recipient AS (
                 SELECT id, username FROM users WHERE username_key = $1
             ), locked AS (
                 SELECT mb.device_id, mb.not_before
                 FROM mailboxes mb JOIN devices d ON d.id = mb.device_id JOIN recipient r ON r.id = d.user_id
                 ORDER BY mb.device_id
                 FOR UPDATE OF mb
             ), stamp AS (
                 SELECT greatest($2, max(not_before)) AS sent_at, count(*) AS copies FROM locked
             ), numbered AS (
                 UPDATE mailboxes mb SET last_sequence = mb.last_sequence + 1, not_before = s.sent_at
                 FROM locked l, stamp s
                 WHERE mb.device_id = l.device_id
                 RETURNING mb.device_id, mb.last_sequence
             ), message AS (
                 INSERT INTO messages (sender, recipient, contents, sent_at, copies)
                 SELECT $3, r.username, $4, s.sent_at, s.copies FROM recipient r, stamp s
                 RETURNING id, recipient, sent_at
             ), placed AS (
                 INSERT INTO envelopes (device_id, sequence, message_id)
                 SELECT n.device_id, n.last_sequence, m.id FROM numbered n, message m
             )
             SELECT id, recipient, sent_at FROM message",
        )
        .bind(new.recipient.key())
        .bind(new.now.micros())
        .bind(new.sender.as_str())
        .bind(new.contents.as_str().as_bytes())
        .fetch_optional(self.readers())
        .await
        .map_err(SqlError::from)?;
        Ok(stored.map(|stored| stored.into_message(new)).transpose()?)
    }

    async fn read(&self, mailbox: DeviceId, after: SequenceNumber, limit: usize) -> Result<Page, PortError> {
        // One statement, so that it sees `not_before` and the envelopes as one commit left them.
        let rows = sqlx::query(
            "SELECT mb.not_before, mb.closed_at, e.sequence, m.id, m.sender, m.recipient, m.contents, m.sent_at
             FROM mailboxes mb
             LEFT JOIN envelopes e ON e.device_id = mb.device_id AND e.sequence > $2
             LEFT JOIN messages m ON m.id = e.message_id
             WHERE mb.device_id = $1
             ORDER BY e.sequence
             LIMIT $3",
        )
        .bind(mailbox.get())
        .bind(after.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(SqlError::from)?;

        let mut page = Page::EMPTY;
        for row in rows {
            page.not_before = Timestamp::from_micros(row.try_get("not_before").map_err(SqlError::from)?);
            page.closed_at = Timestamp::from_micros(row.try_get("closed_at").map_err(SqlError::from)?);
            // An empty mailbox has one row, without an envelope.
            let sequence: Option<i64> = row.try_get("sequence").map_err(SqlError::from)?;
            if sequence.is_some() {
                page.envelopes.push(EnvelopeRow::from_row(&row).map_err(SqlError::from)?.try_into()?);
            }
        }
        Ok(page)
    }

    async fn close_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query(
                    "UPDATE mailboxes SET not_before = $2, closed_at = $3 WHERE device_id = $1 AND not_before < $2",
                )
                .bind(mailbox.get())
                .bind(moment.micros())
                .bind(now.micros())
                .execute(connection)
                .await?;
                Ok(())
            })
        })
        .await
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError> {
        // Outside the transaction: what is delivered meanwhile has later numbers than all that is seen here.
        let oldest: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT e.sequence, m.sent_at FROM envelopes e JOIN messages m ON m.id = e.message_id
             WHERE e.device_id = $1
             ORDER BY e.sequence
             LIMIT $2",
        )
        .bind(mailbox.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.readers())
        .await
        .map_err(SqlError::from)?;
        // Stamps never decrease along a mailbox.
        let older = oldest.iter().take_while(|(_, sent_at)| *sent_at < moment.micros());
        let Some((last, _)) = older.last() else {
            return Ok(0);
        };
        let up_to = SequenceNumber::new(*last);
        self.write(move |connection| Box::pin(Self::acknowledge(connection, mailbox, up_to))).await
    }
}

async fn deliver(connection: &mut SqliteConnection, new: NewMessage) -> Result<Option<Message>, SqlError> {
    let earliest: Vec<i64> = sqlx::query_scalar(
        "UPDATE mailboxes SET last_sequence = last_sequence + 1, not_before = max(not_before, $2)
         WHERE device_id IN
             (SELECT d.id FROM devices d JOIN users u ON u.id = d.user_id WHERE u.username_key = $1)
         RETURNING not_before",
    )
    .bind(new.recipient.key())
    .bind(new.now.micros())
    .fetch_all(&mut *connection)
    .await?;
    let Some(sent_at) = earliest.iter().copied().max() else {
        return Ok(None);
    };
    if earliest.iter().any(|earliest| *earliest < sent_at) {
        sqlx::query(
            "UPDATE mailboxes SET not_before = $2
             WHERE device_id IN
                 (SELECT d.id FROM devices d JOIN users u ON u.id = d.user_id WHERE u.username_key = $1)",
        )
        .bind(new.recipient.key())
        .bind(sent_at)
        .execute(&mut *connection)
        .await?;
    }
    let stored: StoredRow = sqlx::query_as(
        "INSERT INTO messages (sender, recipient, contents, sent_at, copies)
         SELECT $2, username, $3, $4, $5 FROM users WHERE username_key = $1
         RETURNING id, recipient, sent_at",
    )
    .bind(new.recipient.key())
    .bind(new.sender.as_str())
    .bind(new.contents.as_str().as_bytes())
    .bind(sent_at)
    .bind(earliest.len() as i64)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO envelopes (device_id, sequence, message_id)
         SELECT mb.device_id, mb.last_sequence, $2
         FROM users u JOIN devices d ON d.user_id = u.id JOIN mailboxes mb ON mb.device_id = d.id
         WHERE u.username_key = $1",
    )
    .bind(new.recipient.key())
    .bind(stored.id)
    .execute(connection)
    .await?;
    stored.into_message(new).map(Some)
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    /// Deletes a mailbox's envelopes up to a sequence number, and each message with its last envelope.
    async fn acknowledge(
        connection: &mut Connection<Store>,
        mailbox: DeviceId,
        up_to: SequenceNumber,
    ) -> Result<u64, SqlError> {
        let moved = sqlx::query("UPDATE mailboxes SET acknowledged = $2 WHERE device_id = $1 AND acknowledged < $2")
            .bind(mailbox.get())
            .bind(up_to.get())
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if moved == 0 {
            return Ok(0);
        }
        // Most messages have but one envelope, which goes with its message.
        let last_copies = sqlx::query(
            "DELETE FROM messages
             WHERE copies = 1
               AND id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2)",
        )
        .bind(mailbox.get())
        .bind(up_to.get())
        .execute(&mut *connection)
        .await?
        .rows_affected();
        let other_copies = sqlx::query(
            "UPDATE messages SET copies = copies - 1
             WHERE id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2)",
        )
        .bind(mailbox.get())
        .bind(up_to.get())
        .execute(&mut *connection)
        .await?
        .rows_affected();
        if other_copies > 0 {
            // One whose other envelope went while we waited for its row has none left now.
            sqlx::query(
                "DELETE FROM messages
                 WHERE copies = 0
                   AND id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2)",
            )
            .bind(mailbox.get())
            .bind(up_to.get())
            .execute(&mut *connection)
            .await?;
            sqlx::query("DELETE FROM envelopes WHERE device_id = $1 AND sequence <= $2")
                .bind(mailbox.get())
                .bind(up_to.get())
                .execute(connection)
                .await?;
        }
        Ok(last_copies + other_copies)
    }
}
