use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use woosh_domain::model::{Cursor, DeviceId, Incarnation, KeyGeneration, SequenceNumber, Timestamp};
use woosh_domain::ports::{
    AcknowledgeOutcome, DeliverOutcome, MailboxPage, Mailboxes, NewDelivery, PageLimit, PortError,
};

use super::device_ids;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::{SqlError, SqlStore, count};

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Mailboxes for Store {
    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError> {
        SqlStore::deliver(self, delivery).await
    }

    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        // The permit is held until the caller's task takes the page. Otherwise pages could pile up in memory while
        // tasks wait for a processor.
        let _permit = self.page_permits().acquire().await.map_err(PortError::fault)?;
        let mut page = self.read_page(mailbox, after, limit, now).await?;
        if let Some(page) = &mut page {
            self.add_gaps(mailbox, after, page).await?;
        }
        Ok(page)
    }

    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError> {
        let Some(result) = self.delete_up_to(mailbox, up_to, incarnation, limit).await? else {
            return Ok(AcknowledgeOutcome::NotFound);
        };
        let position = result.position();
        Ok(match position.check(Cursor { after: Some(up_to), incarnation }) {
            Ok(()) => AcknowledgeOutcome::UpTo(position.acknowledged),
            Err(error) => AcknowledgeOutcome::Refused(error),
        })
    }

    async fn renew_incarnations(
        &self,
        after: Option<DeviceId>,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Vec<DeviceId>, PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                let mut renewed: Vec<i64> = sqlx::query_scalar(
                    "UPDATE mailboxes SET incarnation = $1 WHERE device_id IN
                         (SELECT device_id FROM mailboxes WHERE device_id > $2 ORDER BY device_id LIMIT $3)
                     RETURNING device_id",
                )
                .bind(incarnation.get())
                .bind(after.map_or(i64::MIN, DeviceId::get))
                .bind(count(limit))
                .fetch_all(connection)
                .await?;
                renewed.sort_unstable();
                Ok(device_ids(renewed))
            })
        })
        .await
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        SqlStore::raise_not_before(self, mailbox, moment, now).await
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError> {
        // Reading outside of the transaction is safe, because envelopes that are delivered in the meantime have higher
        // sequence numbers.
        let oldest: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT e.sequence, m.sent_at FROM envelopes e JOIN messages m ON m.id = e.message_id
             WHERE e.device_id = $1 AND e.sequence > (SELECT acknowledged FROM mailboxes WHERE device_id = $1)
             ORDER BY e.sequence
             LIMIT $2",
        )
        .bind(mailbox.get())
        .bind(count(limit))
        .fetch_all(self.read_pool())
        .await
        .map_err(SqlError::from)?;
        // `take_while` finds all older envelopes, because `sent_at` never decreases within a mailbox.
        let older = oldest.iter().take_while(|(_, sent_at)| *sent_at < moment.micros());
        let Some((last, _)) = older.last() else {
            return Ok(0);
        };
        let result = self.delete_up_to(mailbox, SequenceNumber::new(*last), None, limit).await?;
        Ok(result.map_or(0, |result| result.deleted.unsigned_abs()))
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        let first: Option<i64> = sqlx::query_scalar("SELECT min(expires_at) FROM envelopes")
            .fetch_one(self.read_pool())
            .await
            .map_err(SqlError::from)?;
        // If nothing has expired, avoids a write transaction.
        match first {
            Some(first) if first <= now.micros() => self.delete_expired(now, limit).await,
            _ => Ok(0),
        }
    }

    async fn purge(&self, limit: usize) -> Result<bool, PortError> {
        let device: Option<i64> = sqlx::query_scalar("SELECT min(device_id) FROM purges")
            .fetch_one(self.read_pool())
            .await
            .map_err(SqlError::from)?;
        if let Some(device) = device {
            self.delete_leftovers(DeviceId::new(device), limit).await?;
        }
        Ok(device.is_some())
    }

    async fn key_generation(&self) -> Result<KeyGeneration, PortError> {
        let number = sqlx::query_scalar("SELECT number FROM key_generation").fetch_one(self.read_pool()).await;
        Ok(KeyGeneration::new(number.map_err(SqlError::from)?))
    }

    async fn end_key_generation(&self, generation: KeyGeneration) -> Result<(), PortError> {
        self.write(move |connection| {
            Box::pin(async move {
                sqlx::query("UPDATE key_generation SET number = number + 1 WHERE number = $1")
                    .bind(generation.get())
                    .execute(connection)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    async fn expire_idempotency_keys(&self, before: KeyGeneration, limit: usize) -> Result<u64, PortError> {
        let first: Option<i64> = sqlx::query_scalar("SELECT min(generation) FROM idempotency_keys")
            .fetch_one(self.read_pool())
            .await
            .map_err(SqlError::from)?;
        if first.is_none_or(|first| first >= before.get()) {
            return Ok(0);
        }
        self.write(move |connection| {
            Box::pin(async move {
                let deleted = sqlx::query(
                    "DELETE FROM idempotency_keys WHERE (device_id, key) IN
                         (SELECT device_id, key FROM idempotency_keys WHERE generation < $1
                          ORDER BY generation LIMIT $2)",
                )
                .bind(before.get())
                .bind(count(limit))
                .execute(connection)
                .await?;
                Ok(deleted.rows_affected())
            })
        })
        .await
    }
}

#[trait_gen(Store -> SqliteStore, PostgresStore)]
impl Store {
    /// Adds the gaps to a page that was read without its gaps (D7).
    async fn add_gaps(&self, mailbox: DeviceId, after: SequenceNumber, page: &mut MailboxPage) -> Result<(), SqlError> {
        let (after, up_to) = (after.max(page.acknowledged), page.up_to());
        if up_to.get().saturating_sub(after.get()) <= count(page.envelopes.len()) {
            return Ok(());
        }
        let refused: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT first_sequence, last_sequence FROM gaps
             WHERE device_id = $1 AND last_sequence > $2 AND first_sequence <= $3
                   AND first_sequence >= coalesce(
                       (SELECT max(first_sequence) FROM gaps WHERE device_id = $1 AND first_sequence <= $2), 0)
             ORDER BY first_sequence
             LIMIT $4",
        )
        .bind(mailbox.get())
        .bind(after.get())
        .bind(up_to.get())
        .bind(count(MailboxPage::MAX_GAPS + 1))
        .fetch_all(self.read_pool())
        .await?;
        let refused: Vec<_> =
            refused.into_iter().map(|(first, last)| (SequenceNumber::new(first), SequenceNumber::new(last))).collect();
        page.add_gaps(after, &refused);
        Ok(())
    }
}
