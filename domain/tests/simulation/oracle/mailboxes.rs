//! How the oracle checks the operations of the port `Mailboxes`, and applies them to its model.

use std::collections::BTreeMap;

use woosh_domain::contract::{EnvelopeState, ModelEnvelope};
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_domain::timekeeping::MAX_STAMP_LEAD;
use woosh_domain::use_cases::ForgetKeys;

use super::{Check, Oracle, StoredKey, Violation, ensure};

impl Oracle {
    pub(crate) fn deliver(&mut self, new: &NewDelivery, outcome: &DeliverOutcome) -> Check {
        let is_open = new.session.is_none_or(|session| self.truth.sessions.contains_key(&session));
        if !is_open {
            return ensure(*outcome == DeliverOutcome::SessionEnded, "D9 an ended session stores nothing", || {
                format!("{outcome:?}")
            });
        }
        let key = new.idempotency.as_ref().map(|(key, _)| (new.sender_device, key.as_str().to_owned()));
        let known = key.as_ref().and_then(|key| self.truth.keys.get(key));
        if let (Some(known), Some((_, fingerprint))) = (known, &new.idempotency) {
            let expected = match known.fingerprint == *fingerprint {
                true => DeliverOutcome::Repeated(known.receipt.clone()),
                false => DeliverOutcome::KeyReused,
            };
            return ensure(*outcome == expected, "D4 a stored key gives the stored receipt", || {
                format!("{outcome:?}, expected {expected:?}")
            });
        }
        let names = new.recipients.iter().map(|to| &to.recipient);
        let unknown: Vec<_> = names.filter(|name| self.truth.account(name).is_none()).cloned().collect();
        if !unknown.is_empty() {
            let expected = DeliverOutcome::UnknownRecipients(unknown);
            return ensure(*outcome == expected, "D6 a send is stored for all recipients or for none", || {
                format!("{outcome:?}, expected {expected:?}")
            });
        }
        let addressed: Vec<_> = new
            .recipients
            .iter()
            .filter_map(|to| Some((self.truth.account(&to.recipient)?.devices.iter().copied(), &to.contents)))
            .flat_map(|(devices, contents)| devices.map(move |device| (device, contents.as_str())))
            .collect();
        self.store(new, addressed, outcome, key)
    }

    fn store(
        &mut self,
        new: &NewDelivery,
        addressed: Vec<(DeviceId, &str)>,
        outcome: &DeliverOutcome,
        key: Option<(DeviceId, String)>,
    ) -> Check {
        let mailboxes = &mut self.truth.mailboxes;
        let sent_at = addressed.iter().map(|(device, _)| mailboxes[device].not_before).fold(new.now, Timestamp::max);
        let expires_at = sent_at.min(new.now.plus(MAX_STAMP_LEAD)).plus_seconds(new.ttl_seconds);
        let has_room = |(device, text): &&(DeviceId, &str)| mailboxes[device].has_room(text.len(), new.quota);
        let (stored, mut full): (Vec<_>, Vec<_>) = addressed.iter().partition(has_room);
        full.sort_unstable();
        let receipt = match outcome {
            DeliverOutcome::Stored { receipt, .. } if !stored.is_empty() => Some(receipt),
            DeliverOutcome::AllMailboxesFull if stored.is_empty() => None,
            _ => {
                return ensure(false, "D6 D7 a send is stored where there is room", || {
                    format!("{outcome:?}, {} mailboxes have room", stored.len())
                });
            }
        };
        for (device, text) in &addressed {
            let state = match full.iter().any(|(full, _)| full == device) {
                true => EnvelopeState::Refused,
                false => EnvelopeState::Stored,
            };
            let id = receipt.map_or(MessageId::new(0), |receipt| receipt.id);
            let envelope = ModelEnvelope { id, text: (*text).to_owned(), sent_at, expires_at, state };
            if let Some(mailbox) = mailboxes.get_mut(device) {
                mailbox.add(envelope);
            }
        }
        let Some(receipt) = receipt else { return Ok(()) };
        ensure(receipt.sent_at == sent_at, "D3 sent_at is the latest watermark", || {
            format!("{:?}, expected {sent_at:?}", receipt.sent_at)
        })?;
        let undelivered: Vec<_> = receipt.undelivered.iter().map(|undelivered| undelivered.device).collect();
        ensure(
            undelivered.iter().eq(full.iter().map(|(device, _)| device)),
            "D7 a sender learns of full mailboxes",
            || format!("{undelivered:?}, expected {full:?}"),
        )?;
        ensure(self.truth.ids.insert(receipt.id), "D4 each send has an identifier of its own", || {
            format!("{receipt:?}")
        })?;
        let now = self.now();
        let index = new.recipients.first().and_then(|to| self.send_of(to.contents.as_str()));
        if let (Some(key), Some((_, fingerprint))) = (key, &new.idempotency) {
            let receipt = receipt.clone();
            let generation = self.truth.key_generation;
            let known = StoredKey { fingerprint: *fingerprint, receipt, stored: now, generation };
            self.truth.keys.insert(key, known);
        }
        let Some(before) = index.and_then(|index| self.truth.stored.insert(index, now)) else { return Ok(()) };
        let is_keyed = index.is_some_and(|index| self.sends[index].key.is_some());
        let forgotten = is_keyed && now.since(before) >= ForgetKeys::RETENTION;
        ensure(forgotten, "D4 a send is stored once", || format!("{} again", new.recipients[0].contents.as_str()))
    }

    pub(crate) fn read(
        &self,
        device: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
        page: Option<&MailboxPage>,
    ) -> Check {
        let mailbox = self.truth.mailboxes.get(&device);
        ensure(page.is_some() == mailbox.is_some(), "D2 a mailbox exists as long as its device", || {
            format!("{device:?}")
        })?;
        let (Some(page), Some(mailbox)) = (page, mailbox) else { return Ok(()) };
        let checked = mailbox.check_page(page, after, limit, now);
        checked.map_err(|detail| Violation { check: "D1 D2 D3 D7 D10 a page has what was stored", detail })?;
        self.check_expiry(mailbox, now)
    }

    pub(crate) fn acknowledge(
        &mut self,
        device: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
        outcome: AcknowledgeOutcome,
    ) -> Check {
        let requested = self.truth.requested.get(&device).copied().unwrap_or(SequenceNumber::ZERO);
        ensure(up_to <= requested, "D2 only what its device acknowledges is deleted", || {
            format!("{device:?} up to {}, requested up to {}", up_to.get(), requested.get())
        })?;
        let Some(mailbox) = self.truth.mailboxes.get_mut(&device) else {
            return ensure(outcome == AcknowledgeOutcome::NotFound, "D5 a deleted mailbox is not found", || {
                format!("{outcome:?}")
            });
        };
        let checked = mailbox.acknowledge(up_to, incarnation, limit, outcome);
        checked.map_err(|detail| Violation { check: "D5 an acknowledgement is idempotent and within bounds", detail })
    }

    pub(crate) fn acknowledge_before(
        &mut self,
        device: DeviceId,
        moment: Timestamp,
        limit: usize,
        count: u64,
    ) -> Check {
        let Some(mailbox) = self.truth.mailboxes.get_mut(&device) else { return Ok(()) };
        let due = mailbox.acknowledge_before(moment, limit);
        let mailbox = &self.truth.mailboxes[&device];
        // The classic API reads the mailbox of the oldest device. If that is deleted after a poll, the next oldest
        // takes its place: the client can't tell, and deletes from a mailbox that it has not polled.
        let polled = self.truth.polled.get(&device);
        let unread = due.iter().filter_map(|number| mailbox.envelope(*number)).find(|envelope| {
            let is_polled = polled.is_none_or(|polled| polled.contains(&envelope.id));
            !is_polled && !self.may_be_expired(envelope)
        });
        ensure(unread.is_none(), "D2 the classic API deletes only what a poll returned", || {
            format!("{device:?}: {unread:?} before {moment:?}")
        })?;
        ensure(count == due.len() as u64, "D5 exactly the older messages are deleted", || {
            format!("{count}, expected {}", due.len())
        })
    }

    pub(crate) fn expire(&mut self, now: Timestamp, count: u64) -> Check {
        for mailbox in self.truth.mailboxes.values() {
            self.check_expiry(mailbox, now)?;
        }
        let expected: usize = self.truth.mailboxes.values_mut().map(|mailbox| mailbox.expire(now)).sum();
        ensure(count == expected as u64, "D7 exactly the expired messages are deleted", || {
            format!("{count}, expected {expected}")
        })
    }

    pub(crate) fn expire_keys(&mut self, before: KeyGeneration, count: u64) -> Check {
        let now = self.now();
        let keys = std::mem::take(&mut self.truth.keys);
        let (old, kept): (BTreeMap<_, _>, _) = keys.into_iter().partition(|(_, key)| key.generation < before.get());
        self.truth.keys = kept;
        let early = old.values().find(|key| now.since(key.stored) < ForgetKeys::RETENTION);
        ensure(early.is_none(), "D4 a key is kept for a day", || format!("{early:?} at {now:?}"))?;
        ensure(count == old.len() as u64, "D4 exactly the old keys are deleted", || format!("{count} of {}", old.len()))
    }
}
