use async_trait::async_trait;
use sqlx::{FromRow, SqliteConnection};
use woosh_domain::model::{Contents, DeviceId, Envelope, Message, MessageId, SequenceNumber, Timestamp};
use woosh_domain::ports::{Mailboxes, NewMessage, Page, PortError};

use super::{SqlError, opaque, username};
use crate::sqlite::SqliteStore;

#[derive(FromRow)]
struct NumberedRow {
    not_before: i64,
    recipient: String,
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

#[async_trait]
impl Mailboxes for SqliteStore {
    async fn deliver(&self, new: NewMessage) -> Result<Option<Message>, PortError> {
        self.write(move |connection| Box::pin(deliver(connection, new))).await
    }

    async fn read(&self, mailbox: DeviceId, after: SequenceNumber, limit: usize) -> Result<Page, PortError> {
        let mut connection = self.readers().acquire().await.map_err(SqlError::from)?;
        // `not_before` is read first: whatever is stamped before it was committed by then, so the second statement sees
        // it, whether or not the two see the same state.
        let not_before: Option<(i64,)> = sqlx::query_as("SELECT not_before FROM mailboxes WHERE device_id = $1")
            .bind(mailbox.get())
            .fetch_optional(&mut *connection)
            .await
            .map_err(SqlError::from)?;
        let rows: Vec<EnvelopeRow> = sqlx::query_as(
            "SELECT e.sequence, m.id, m.sender, m.recipient, m.contents, m.sent_at
             FROM envelopes e JOIN messages m ON m.id = e.message_id
             WHERE e.device_id = $1 AND e.sequence > $2
             ORDER BY e.sequence
             LIMIT $3",
        )
        .bind(mailbox.get())
        .bind(after.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await
        .map_err(SqlError::from)?;
        Ok(Page {
            not_before: Timestamp::from_micros(not_before.map_or(0, |(micros,)| micros)),
            envelopes: rows.into_iter().map(Envelope::try_from).collect::<Result<_, _>>()?,
        })
    }

    async fn close_before(&self, mailbox: DeviceId, moment: Timestamp) -> Result<(), PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE mailboxes SET not_before = $2 WHERE device_id = $1 AND not_before < $2")
                    .bind(mailbox.get())
                    .bind(moment.micros())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp) -> Result<u64, PortError> {
        self.write(move |connection| Box::pin(acknowledge_before(connection, mailbox, moment))).await
    }
}

async fn deliver(connection: &mut SqliteConnection, new: NewMessage) -> Result<Option<Message>, SqlError> {
    // Taking the numbers by updating the mailboxes locks them until the commit, so that numbers follow commit order.
    let numbered: Vec<NumberedRow> = sqlx::query_as(
        "UPDATE mailboxes
         SET last_sequence = last_sequence + 1,
             not_before = CASE WHEN not_before < $2 THEN $2 ELSE not_before END
         WHERE device_id IN
             (SELECT d.id FROM devices d JOIN users u ON u.id = d.user_id WHERE u.username_key = $1)
         RETURNING not_before, (SELECT username FROM users WHERE username_key = $1) AS recipient",
    )
    .bind(new.recipient.key())
    .bind(new.now.micros())
    .fetch_all(&mut *connection)
    .await?;
    let Some(latest) = numbered.iter().max_by_key(|row| row.not_before) else {
        return Ok(None);
    };
    let sent_at = latest.not_before;
    let recipient = latest.recipient.clone();

    if numbered.iter().any(|row| row.not_before < sent_at) {
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
    let (id,): (i64,) = sqlx::query_as(
        "INSERT INTO messages (sender, recipient, contents, sent_at, copies) VALUES ($1, $2, $3, $4, $5) RETURNING id",
    )
    .bind(new.sender.as_str().to_owned())
    .bind(recipient.clone())
    .bind(new.contents.as_str().as_bytes().to_owned())
    .bind(sent_at)
    .bind(numbered.len() as i64)
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO envelopes (device_id, sequence, message_id)
         SELECT mb.device_id, mb.last_sequence, $2
         FROM users u JOIN devices d ON d.user_id = u.id JOIN mailboxes mb ON mb.device_id = d.id
         WHERE u.username_key = $1",
    )
    .bind(new.recipient.key())
    .bind(id)
    .execute(connection)
    .await?;

    Ok(Some(Message {
        id: MessageId::new(id),
        sender: new.sender,
        recipient: username("users", "username", id, &recipient)?,
        contents: new.contents,
        sent_at: Timestamp::from_micros(sent_at),
    }))
}

async fn acknowledge_before(
    connection: &mut SqliteConnection,
    mailbox: DeviceId,
    moment: Timestamp,
) -> Result<u64, SqlError> {
    // The update changes nothing but locks the mailbox, so that nothing is delivered between the statements.
    let last: Option<(i64,)> =
        sqlx::query_as("UPDATE mailboxes SET acknowledged = acknowledged WHERE device_id = $1 RETURNING last_sequence")
            .bind(mailbox.get())
            .fetch_optional(&mut *connection)
            .await?;
    let Some((last,)) = last else {
        return Ok(0);
    };
    // Stamps never decrease along a mailbox: all before the first that stays is to go.
    let first_to_stay: Option<(i64,)> = sqlx::query_as(
        "SELECT e.sequence FROM envelopes e JOIN messages m ON m.id = e.message_id
         WHERE e.device_id = $1 AND m.sent_at >= $2
         ORDER BY e.sequence
         LIMIT 1",
    )
    .bind(mailbox.get())
    .bind(moment.micros())
    .fetch_optional(&mut *connection)
    .await?;
    acknowledge(connection, mailbox, first_to_stay.map_or(last, |(sequence,)| sequence - 1)).await
}

/// Deletes a locked mailbox's envelopes up to a sequence number, and the messages that no other mailbox holds.
async fn acknowledge(connection: &mut SqliteConnection, mailbox: DeviceId, up_to: i64) -> Result<u64, SqlError> {
    let moved = sqlx::query("UPDATE mailboxes SET acknowledged = $2 WHERE device_id = $1 AND acknowledged < $2")
        .bind(mailbox.get())
        .bind(up_to)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if moved == 0 {
        return Ok(0);
    }
    // Deleting a message takes its envelopes along; most messages have but one.
    let last_copies = sqlx::query(
        "DELETE FROM messages
         WHERE copies = 1
           AND id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2)",
    )
    .bind(mailbox.get())
    .bind(up_to)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    let other_copies = sqlx::query(
        "UPDATE messages SET copies = copies - 1
         WHERE id IN (SELECT message_id FROM envelopes WHERE device_id = $1 AND sequence <= $2)",
    )
    .bind(mailbox.get())
    .bind(up_to)
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if other_copies > 0 {
        sqlx::query("DELETE FROM envelopes WHERE device_id = $1 AND sequence <= $2")
            .bind(mailbox.get())
            .bind(up_to)
            .execute(connection)
            .await?;
    }
    Ok(last_copies + other_copies)
}
