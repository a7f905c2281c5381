//! The stored form of a receipt.

use sqlx::FromRow;
use woosh_domain::model::{DeviceId, Fingerprint, MessageId, Timestamp, Username};
use woosh_domain::ports::{DeliverOutcome, Receipt, Undelivered};

use super::{Cell, SqlError};

/// A receipt, as stored with its idempotency key.
#[derive(FromRow)]
pub(crate) struct ReceiptRow {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) send_id: i64,
    pub(crate) sent_at: i64,
    pub(crate) undelivered: String,
}

impl ReceiptRow {
    /// The outcome of a later send under the same key (D4).
    pub(crate) fn outcome(&self, fingerprint: &Fingerprint) -> Result<DeliverOutcome, SqlError> {
        if self.fingerprint != fingerprint.as_bytes() {
            return Ok(DeliverOutcome::KeyReused);
        }
        let cell = Cell { table: "idempotency_keys", column: "undelivered", key: "send_id", row: self.send_id };
        let undelivered = self.undelivered.split(',').filter(|part| !part.is_empty()).map(parse);
        Ok(DeliverOutcome::Repeated(Receipt {
            id: MessageId::new(self.send_id),
            sent_at: Timestamp::from_micros(self.sent_at),
            undelivered: undelivered
                .collect::<Option<_>>()
                .ok_or_else(|| cell.corrupt("not a list like 12:alice,15:bob"))?,
        }))
    }
}

fn parse(part: &str) -> Option<Undelivered> {
    let (device, name) = part.split_once(':')?;
    Some(Undelivered { recipient: Username::new(name).ok()?, device: DeviceId::new(device.parse().ok()?) })
}

/// Formats the devices whose mailboxes were full, like `12:alice,15:bob`. No username contains a colon or a comma.
pub(crate) fn format(undelivered: &[Undelivered]) -> String {
    let parts = undelivered.iter().map(|missed| format!("{}:{}", missed.device.get(), missed.recipient));
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(ttl: u64) -> Fingerprint {
        Fingerprint::of(std::iter::empty(), Some(ttl))
    }

    fn row(undelivered: &str) -> ReceiptRow {
        let fingerprint = fingerprint(1).as_bytes().to_vec();
        ReceiptRow { fingerprint, send_id: 7, sent_at: 9, undelivered: undelivered.to_owned() }
    }

    /// D4.
    #[test]
    fn a_receipt_survives_formatting_and_parsing() {
        let missed =
            |device, name| Undelivered { recipient: Username::new(name).unwrap(), device: DeviceId::new(device) };
        for undelivered in [vec![], vec![missed(12, "alice")], vec![missed(12, "alice"), missed(15, "b-o_b")]] {
            let receipt = Receipt { id: MessageId::new(7), sent_at: Timestamp::from_micros(9), undelivered };
            let outcome = row(&format(&receipt.undelivered)).outcome(&fingerprint(1)).unwrap();
            assert_eq!(outcome, DeliverOutcome::Repeated(receipt));
        }
    }

    /// D4.
    #[test]
    fn another_fingerprint_is_a_reused_key_and_a_corrupt_row_is_an_error() {
        assert_eq!(row("").outcome(&fingerprint(2)).unwrap(), DeliverOutcome::KeyReused);
        assert!(row("12").outcome(&fingerprint(1)).is_err());
    }
}
