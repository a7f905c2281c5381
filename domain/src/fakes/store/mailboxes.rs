use async_trait::async_trait;

use super::{KeyedSend, Mailbox, MemoryStore, State};
use crate::model::{
    Cursor, DeviceId, Envelope, Incarnation, KeyGeneration, MailboxPosition, Message, MessageId, Quota, SequenceNumber,
    Timestamp, json_size,
};
use crate::planner::expires_at;
use crate::ports::{
    AcknowledgeOutcome, DeliverOutcome, MailboxPage, Mailboxes, NewDelivery, PageLimit, PortError, Receipt, Undelivered,
};

#[async_trait]
impl Mailboxes for MemoryStore {
    async fn deliver(&self, new: NewDelivery) -> Result<DeliverOutcome, PortError> {
        let state = &mut *self.state();
        let mut sessions = state.accounts.iter().flat_map(|account| &account.sessions);
        if new.session.is_some_and(|session| !sessions.any(|(open, _)| open.id == session)) {
            return Ok(DeliverOutcome::SessionEnded);
        }
        let key = new.idempotency.as_ref().map(|(key, _)| (new.sender_device, key.as_str().to_owned()));
        if let (Some(known), Some((_, fingerprint))) =
            (key.as_ref().and_then(|key| state.keys.get(key)), &new.idempotency)
        {
            return Ok(match known.fingerprint == fingerprint.as_bytes() {
                true => DeliverOutcome::Repeated(known.receipt.clone()),
                false => DeliverOutcome::KeyReused,
            });
        }
        let unknown = new.recipients.iter().map(|to| &to.recipient).filter(|name| state.account(name).is_none());
        let unknown: Vec<_> = unknown.cloned().collect();
        if !unknown.is_empty() {
            return Ok(DeliverOutcome::UnknownRecipients(unknown));
        }

        let (recipients, messages) = state.address(&new);
        let watermarks = messages.iter().map(|(device, _)| state.mailboxes[device].not_before);
        let sent_at = watermarks.fold(new.now, Timestamp::max);
        let (mut undelivered, mut delivered) = (Vec::new(), Vec::new());
        for (device, mut message) in messages {
            message.sent_at = sent_at;
            message.expires_at = expires_at(sent_at, &new);
            let Some(mailbox) = state.mailboxes.get_mut(&device) else { continue };
            mailbox.last = mailbox.last.next();
            mailbox.not_before = sent_at;
            if mailbox.has_room(&message, new.quota) {
                mailbox.envelopes.insert(mailbox.last, message);
                delivered.push(device);
            } else {
                mailbox.refused.push(mailbox.last);
                undelivered.push(Undelivered { recipient: message.recipient, device });
            }
        }
        if delivered.is_empty() {
            return Ok(DeliverOutcome::AllMailboxesFull);
        }
        undelivered.sort_by_key(|undelivered| undelivered.device);
        let receipt = Receipt { id: MessageId::new(state.last_message), sent_at, undelivered };
        if let (Some(key), Some((_, fingerprint))) = (key, new.idempotency) {
            let (fingerprint, generation) = (fingerprint.as_bytes().to_vec(), state.key_generation);
            state.keys.insert(key, KeyedSend { fingerprint, receipt: receipt.clone(), generation });
        }
        self.notifier.notify(delivered.into_iter());
        Ok(DeliverOutcome::Stored { receipt, recipients })
    }

    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        let state = self.state();
        let Some(mailbox) = state.mailboxes.get(&mailbox) else {
            return Ok(None);
        };
        let live = mailbox.envelopes.range(after.next()..).filter(|(_, message)| message.expires_at > now);
        let mut live = live.peekable();
        let (mut envelopes, mut bytes) = (Vec::new(), 0);
        while let Some((sequence, message)) = live.peek() {
            bytes += json_size(message.contents.as_str().as_bytes());
            if envelopes.len() == limit.count || (!envelopes.is_empty() && bytes > limit.bytes) {
                break;
            }
            envelopes.push(Envelope { sequence: **sequence, message: (*message).clone() });
            live.next();
        }
        let mut page = MailboxPage {
            incarnation: mailbox.incarnation,
            acknowledged: mailbox.acknowledged,
            last: mailbox.last,
            not_before: mailbox.not_before,
            closed_at: mailbox.closed_at,
            envelopes,
            gaps: Vec::new(),
            has_more: live.peek().is_some(),
        };
        let refused: Vec<_> = mailbox.refused.iter().map(|number| (*number, *number)).collect();
        page.add_gaps(after, &refused[refused.partition_point(|(_, last)| *last <= after)..]);
        Ok(Some(page))
    }

    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError> {
        let mut state = self.state();
        let Some(mailbox) = state.mailboxes.get_mut(&mailbox) else {
            return Ok(AcknowledgeOutcome::NotFound);
        };
        let position = MailboxPosition {
            incarnation: mailbox.incarnation,
            acknowledged: mailbox.acknowledged,
            last: mailbox.last,
        };
        if let Err(error) = position.check(Cursor { after: Some(up_to), incarnation }) {
            return Ok(AcknowledgeOutcome::Refused(error));
        }
        let mut due = mailbox.envelopes.range(..=up_to).map(|(sequence, _)| *sequence);
        let reached = match due.clone().nth(limit) {
            Some(_) => due.nth(limit - 1).unwrap_or(up_to),
            None => up_to,
        };
        mailbox.acknowledge(reached);
        Ok(AcknowledgeOutcome::UpTo(mailbox.acknowledged))
    }

    async fn renew_incarnations(
        &self,
        after: Option<DeviceId>,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Vec<DeviceId>, PortError> {
        let mut state = self.state();
        let mut next: Vec<_> = state.mailboxes.iter_mut().filter(|(device, _)| Some(**device) > after).collect();
        next.sort_unstable_by_key(|(device, _)| **device);
        let renewed = next.into_iter().take(limit).map(|(device, mailbox)| {
            mailbox.incarnation = incarnation;
            *device
        });
        Ok(renewed.collect())
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        if let Some(mailbox) = self.state().mailboxes.get_mut(&mailbox)
            && mailbox.not_before < moment
        {
            mailbox.not_before = moment;
            mailbox.closed_at = now;
        }
        Ok(())
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError> {
        let mut state = self.state();
        let Some(mailbox) = state.mailboxes.get_mut(&mailbox) else {
            return Ok(0);
        };
        let older = mailbox.envelopes.iter().take_while(|(_, message)| message.sent_at < moment);
        let older: Vec<_> = older.take(limit).map(|(sequence, _)| *sequence).collect();
        if let Some(last) = older.last() {
            mailbox.acknowledge(*last);
        }
        Ok(older.len() as u64)
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        let mut state = self.state();
        let mailboxes = state.mailboxes.iter();
        let all = mailboxes.flat_map(|(device, mailbox)| {
            mailbox.envelopes.iter().map(move |(number, message)| (device, number, message))
        });
        let mut expired: Vec<_> = all
            .filter(|(.., message)| message.expires_at <= now)
            .map(|(device, sequence, message)| (message.expires_at, *device, *sequence))
            .collect();
        expired.sort_unstable();
        expired.truncate(limit);
        for (_, device, sequence) in &expired {
            if let Some(mailbox) = state.mailboxes.get_mut(device) {
                mailbox.envelopes.remove(sequence);
            }
        }
        Ok(expired.len() as u64)
    }

    async fn purge(&self, _: usize) -> Result<bool, PortError> {
        // Deleting a device deletes its mailbox with all envelopes, so nothing is left to purge.
        Ok(false)
    }

    async fn key_generation(&self) -> Result<KeyGeneration, PortError> {
        Ok(KeyGeneration::new(self.state().key_generation))
    }

    async fn end_key_generation(&self, generation: KeyGeneration) -> Result<(), PortError> {
        let mut state = self.state();
        if state.key_generation == generation.get() {
            state.key_generation += 1;
        }
        Ok(())
    }

    async fn expire_idempotency_keys(&self, before: KeyGeneration, limit: usize) -> Result<u64, PortError> {
        let mut state = self.state();
        let old = state.keys.iter().filter(|(_, known)| known.generation < before.get());
        let old: Vec<_> = old.map(|(key, _)| key.clone()).take(limit).collect();
        for key in &old {
            state.keys.remove(key);
        }
        Ok(old.len() as u64)
    }
}

impl State {
    /// Returns the recipients' usernames, with upper and lower case as registered, and the message for each mailbox.
    fn address(&mut self, new: &NewDelivery) -> (Vec<crate::model::Username>, Vec<(DeviceId, Message)>) {
        self.last_message += 1;
        let id = MessageId::new(self.last_message);
        let (mut recipients, mut messages) = (Vec::new(), Vec::new());
        for addressed in &new.recipients {
            let Some(account) = self.account(&addressed.recipient) else { continue };
            let recipient = account.user.username.clone();
            for device in &account.devices {
                let message = Message {
                    id,
                    sender: new.sender.clone(),
                    sender_device: Some(new.sender_device),
                    recipient: recipient.clone(),
                    contents: addressed.contents.clone(),
                    sent_at: new.now,
                    expires_at: new.now,
                };
                messages.push((device.id, message));
            }
            recipients.push(recipient);
        }
        (recipients, messages)
    }
}

impl Mailbox {
    fn has_room(&self, message: &Message, quota: Quota) -> bool {
        let sizes = self.envelopes.values().chain([message]).map(|message| message.contents.as_str().len() as u64);
        (self.envelopes.len() as u64) < quota.messages && sizes.sum::<u64>() <= quota.bytes
    }

    fn acknowledge(&mut self, up_to: SequenceNumber) {
        self.acknowledged = self.acknowledged.max(up_to);
        self.envelopes.retain(|sequence, _| *sequence > up_to);
        self.refused.retain(|sequence| *sequence > up_to);
    }
}
