use std::collections::HashMap;

use woosh_domain::model::{DeviceId, Fingerprint, IdempotencyKey, MessageId, Timestamp, Username};
use woosh_domain::ports::{DeliverOutcome, NewDelivery, Receipt, Undelivered};

use crate::store::{ReceiptRow, SqlError, format_undelivered};

/// The changes that a batch of sends makes, worked out in memory: each send applies to the state that those before it
/// leave.
#[derive(Default)]
pub(super) struct Plan<'a> {
    /// The recipients that exist, by the key of their username.
    pub(super) recipients: HashMap<String, Recipient>,
    /// The receipts of earlier sends, by the sender's device and idempotency key.
    pub(super) known: HashMap<(i64, String), ReceiptRow>,
    /// The identifier of the next message.
    pub(super) next_id: i64,
    pub(super) messages: Vec<NewMessage<'a>>,
    pub(super) envelopes: Vec<NewEnvelope>,
    pub(super) gaps: Vec<NewGap>,
    /// The keys of the receipts that this plan adds to `known`.
    pub(super) keys: Vec<(i64, String)>,
}

pub(super) struct Recipient {
    pub(super) username: Username,
    pub(super) mailboxes: Vec<Mailbox>,
}

pub(super) struct Mailbox {
    pub(super) device: DeviceId,
    pub(super) last_sequence: i64,
    pub(super) not_before: i64,
    pub(super) pending: i64,
    pub(super) bytes: i64,
    pub(super) changed: bool,
}

pub(super) struct NewMessage<'a> {
    pub(super) id: i64,
    pub(super) send_id: i64,
    pub(super) new: &'a NewDelivery,
    pub(super) recipient: Username,
    pub(super) contents: &'a str,
    pub(super) sent_at: i64,
    pub(super) copies: i64,
}

pub(super) struct NewEnvelope {
    pub(super) device: DeviceId,
    pub(super) sequence: i64,
    pub(super) message: i64,
    pub(super) size: i64,
    pub(super) expires_at: i64,
}

pub(super) struct NewGap {
    pub(super) device: DeviceId,
    pub(super) first: i64,
    pub(super) last: i64,
}

impl<'a> Plan<'a> {
    /// Plans a send. Returns its outcome and the mailboxes that it is added to.
    pub(super) fn deliver(&mut self, new: &'a NewDelivery) -> Result<(DeliverOutcome, Vec<DeviceId>), SqlError> {
        if let Some((key, fingerprint)) = &new.idempotency
            && let Some(known) = self.known.get(&scoped_key(new, key))
        {
            return Ok((known.outcome(fingerprint)?, Vec::new()));
        }
        let names = new.recipients.iter().map(|addressed| &addressed.recipient);
        let unknown: Vec<_> = names.filter(|name| !self.recipients.contains_key(&name.key())).cloned().collect();
        if !unknown.is_empty() {
            return Ok((DeliverOutcome::UnknownRecipients(unknown), Vec::new()));
        }

        let sent_at = self.stamp(new);
        let expires_at = Timestamp::from_micros(sent_at).plus_seconds(new.ttl_seconds).micros();
        let (send_id, mut recipients) = (self.next_id, Vec::new());
        let (mut stored_in, mut undelivered) = (Vec::new(), Vec::new());
        for addressed in &new.recipients {
            let Some(recipient) = self.recipients.get_mut(&addressed.recipient.key()) else { continue };
            let size = addressed.contents.as_str().len() as i64;
            let before = stored_in.len();
            for mailbox in &mut recipient.mailboxes {
                mailbox.last_sequence += 1;
                mailbox.not_before = sent_at;
                mailbox.changed = true;
                let (device, sequence) = (mailbox.device, mailbox.last_sequence);
                if mailbox.has_room(size, new) {
                    mailbox.pending += 1;
                    mailbox.bytes += size;
                    stored_in.push(device);
                    let message = self.next_id;
                    self.envelopes.push(NewEnvelope { device, sequence, message, size, expires_at });
                } else {
                    undelivered.push(Undelivered { recipient: recipient.username.clone(), device });
                    add_gap(&mut self.gaps, device, sequence);
                }
            }
            let copies = stored_in.len() - before;
            if copies > 0 {
                self.messages.push(NewMessage {
                    id: self.next_id,
                    send_id,
                    new,
                    recipient: recipient.username.clone(),
                    contents: addressed.contents.as_str(),
                    sent_at,
                    copies: copies as i64,
                });
                self.next_id += 1;
            }
            recipients.push(recipient.username.clone());
        }
        if stored_in.is_empty() {
            return Ok((DeliverOutcome::AllMailboxesFull, stored_in));
        }
        undelivered.sort_by_key(|missed| missed.device);
        let receipt = Receipt { id: MessageId::new(send_id), sent_at: Timestamp::from_micros(sent_at), undelivered };
        if let Some((key, fingerprint)) = &new.idempotency {
            self.add_receipt(scoped_key(new, key), fingerprint, &receipt);
        }
        Ok((DeliverOutcome::Stored { receipt, recipients }, stored_in))
    }

    /// The time of a send: now, or the highest `not_before` of the mailboxes if that is later.
    fn stamp(&self, new: &NewDelivery) -> i64 {
        let recipients = new.recipients.iter().filter_map(|addressed| self.recipients.get(&addressed.recipient.key()));
        let mailboxes = recipients.flat_map(|recipient| &recipient.mailboxes);
        mailboxes.map(|mailbox| mailbox.not_before).fold(new.now.micros(), i64::max)
    }

    fn add_receipt(&mut self, key: (i64, String), fingerprint: &Fingerprint, receipt: &Receipt) {
        let row = ReceiptRow {
            fingerprint: fingerprint.as_bytes().to_vec(),
            send_id: receipt.id.get(),
            sent_at: receipt.sent_at.micros(),
            undelivered: format_undelivered(&receipt.undelivered),
        };
        self.known.insert(key.clone(), row);
        self.keys.push(key);
    }
}

/// An idempotency key and the device that it belongs to.
pub(super) fn scoped_key(new: &NewDelivery, key: &IdempotencyKey) -> (i64, String) {
    (new.sender_device.get(), key.as_str().to_owned())
}

/// Adds a sequence number to the gaps. Extends the mailbox's last gap if the number follows it directly.
fn add_gap(gaps: &mut Vec<NewGap>, device: DeviceId, sequence: i64) {
    match gaps.iter_mut().rev().find(|gap| gap.device == device) {
        Some(gap) if gap.last + 1 == sequence => gap.last = sequence,
        _ => gaps.push(NewGap { device, first: sequence, last: sequence }),
    }
}

impl Mailbox {
    fn has_room(&self, size: i64, new: &NewDelivery) -> bool {
        let bytes = self.bytes.saturating_add(size).unsigned_abs();
        self.pending.unsigned_abs() < new.quota.messages && bytes <= new.quota.bytes
    }
}
