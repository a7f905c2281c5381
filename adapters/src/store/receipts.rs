//! The stored form of receipts: rows of the table `idempotency_keys`.

use sqlx::FromRow;
use woosh_domain::model::{DeviceId, MessageId, Timestamp, Username};
use woosh_domain::planner::{ScopedKey, StoredReceipt};
use woosh_domain::ports::{Receipt, Undelivered};

use super::{Cell, SqlError};

/// A row of the table `idempotency_keys`: an idempotency key and the receipt of its send.
#[derive(FromRow)]
pub(crate) struct KeyRow {
    pub(crate) device_id: i64,
    pub(crate) key: String,
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) send_id: i64,
    pub(crate) sent_at: i64,
    pub(crate) undelivered: String,
}

impl KeyRow {
    /// Parses the row into an idempotency key and its receipt.
    pub(crate) fn parse(self) -> Result<(ScopedKey, StoredReceipt), SqlError> {
        let cell = Cell { table: "idempotency_keys", column: "undelivered", key: "send_id", row: self.send_id };
        let undelivered = self.undelivered.split(',').filter(|part| !part.is_empty()).map(parse_undelivered);
        let receipt = Receipt {
            id: MessageId::new(self.send_id),
            sent_at: Timestamp::from_micros(self.sent_at),
            undelivered: undelivered
                .collect::<Option<_>>()
                .ok_or_else(|| cell.corrupt("not a list like 12:alice,15:bob"))?,
        };
        let key = ScopedKey { device: DeviceId::new(self.device_id), key: self.key };
        Ok((key, StoredReceipt { fingerprint: self.fingerprint, receipt }))
    }
}

fn parse_undelivered(part: &str) -> Option<Undelivered> {
    let (device, name) = part.split_once(':')?;
    Some(Undelivered { recipient: Username::new(name).ok()?, device: DeviceId::new(device.parse().ok()?) })
}

/// Formats a list of devices whose mailboxes were full: the identifier of each device and the username of its user,
/// such as `12:alice,15:bob`. The format is unambiguous, because no username contains a colon or a comma.
pub(crate) fn format_undelivered(undelivered: &[Undelivered]) -> String {
    let parts = undelivered.iter().map(|missed| format!("{}:{}", missed.device.get(), missed.recipient));
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(undelivered: &str) -> KeyRow {
        KeyRow {
            device_id: 3,
            key: "key".to_owned(),
            fingerprint: vec![1],
            send_id: 7,
            sent_at: 9,
            undelivered: undelivered.to_owned(),
        }
    }

    #[test]
    fn a_receipt_comes_out_as_it_went_in() {
        let missed =
            |device, name| Undelivered { recipient: Username::new(name).unwrap(), device: DeviceId::new(device) };
        for undelivered in [vec![], vec![missed(12, "alice")], vec![missed(12, "alice"), missed(15, "b-o_b")]] {
            let receipt = Receipt { id: MessageId::new(7), sent_at: Timestamp::from_micros(9), undelivered };
            let (key, stored) = row(&format_undelivered(&receipt.undelivered)).parse().unwrap();
            assert_eq!(key, ScopedKey { device: DeviceId::new(3), key: "key".to_owned() });
            assert_eq!(stored, StoredReceipt { fingerprint: vec![1], receipt });
        }
    }

    #[test]
    fn a_corrupt_list_of_devices_is_an_error() {
        for undelivered in ["12", "x:alice", "12:al"] {
            assert!(row(undelivered).parse().is_err(), "{undelivered}");
        }
    }
}
