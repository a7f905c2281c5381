//! The form in which the receipt of a send is kept under its idempotency key.

use sqlx::FromRow;
use woosh_domain::model::{DeviceId, Fingerprint, MessageId, Timestamp, Username};
use woosh_domain::ports::{Delivery, Receipt, Undelivered};

use super::SqlError;

/// A send that was stored under a key.
#[derive(FromRow)]
pub(crate) struct ReceiptRow {
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) send_id: i64,
    pub(crate) sent_at: i64,
    pub(crate) undelivered: String,
}

impl ReceiptRow {
    /// The answer to another send under the same key.
    pub(crate) fn answer(&self, fingerprint: &Fingerprint) -> Result<Delivery, SqlError> {
        if self.fingerprint != fingerprint.as_bytes() {
            return Ok(Delivery::KeyReused);
        }
        let undelivered = self.undelivered.split(',').filter(|part| !part.is_empty()).map(parse);
        Ok(Delivery::Repeated(Receipt {
            id: MessageId::new(self.send_id),
            sent_at: Timestamp::from_micros(self.sent_at),
            undelivered: undelivered.collect::<Option<_>>().ok_or_else(|| SqlError::Corrupt {
                table: "idempotency_keys",
                column: "undelivered",
                row: self.send_id,
                cause: "not a list like 12:alice,15:bob".into(),
            })?,
        }))
    }
}

fn parse(part: &str) -> Option<Undelivered> {
    let (device, name) = part.split_once(':')?;
    Some(Undelivered { recipient: Username::new(name).ok()?, device: DeviceId::new(device.parse().ok()?) })
}

/// The devices whose mailboxes were full, as one text. No username has a colon or a comma.
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

    #[test]
    fn a_receipt_comes_out_as_it_went_in() {
        let missed =
            |device, name| Undelivered { recipient: Username::new(name).unwrap(), device: DeviceId::new(device) };
        for undelivered in [vec![], vec![missed(12, "alice")], vec![missed(12, "alice"), missed(15, "b-o_b")]] {
            let receipt = Receipt { id: MessageId::new(7), sent_at: Timestamp::from_micros(9), undelivered };
            let answer = row(&format(&receipt.undelivered)).answer(&fingerprint(1)).unwrap();
            assert_eq!(answer, Delivery::Repeated(receipt));
        }
    }

    #[test]
    fn another_fingerprint_is_another_send_and_a_corrupt_row_an_error() {
        assert_eq!(row("").answer(&fingerprint(2)).unwrap(), Delivery::KeyReused);
        assert!(row("12").answer(&fingerprint(1)).is_err());
    }
}
