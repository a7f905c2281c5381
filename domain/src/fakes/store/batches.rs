use std::collections::{BTreeMap, HashSet};

use super::{KeyedSend, Mailbox, MemoryStore, State};
use crate::model::{Contents, Message, SequenceNumber, Username};
use crate::planner::{BatchState, Changes, MailboxState, Plan, PlannedSend, ScopedKey, StoredReceipt, plan};
use crate::ports::NewDelivery;

impl MemoryStore {
    /// Stores sends as one batch. As in the stores on databases, the planner works out what to store.
    /// This store's [`deliver`](crate::ports::Mailboxes::deliver) does not use the planner, so that tests can compare
    /// the results of the two methods.
    pub fn deliver_batch(&self, sends: &[NewDelivery]) -> Vec<PlannedSend> {
        let state = &mut *self.state();
        let next_id = state.last_message + 1;
        let Plan { sends: planned, changes, .. } = plan(sends, state.load(sends), next_id..);
        state.apply(changes);
        self.notifier.notify(planned.iter().flat_map(|send| &send.copies).map(|copy| copy.mailbox));
        planned
    }
}

impl State {
    fn load(&self, sends: &[NewDelivery]) -> BatchState {
        let mut batch = BatchState::default();
        let mut loaded = HashSet::new();
        for name in sends.iter().flat_map(|send| &send.recipients).map(|to| &to.recipient) {
            let Some(account) = self.account(name).filter(|_| loaded.insert(name.key())) else { continue };
            for device in &account.devices {
                let Some(mailbox) = self.mailboxes.get(&device.id) else { continue };
                let counters = MailboxState {
                    device: device.id,
                    acknowledged: mailbox.acknowledged,
                    last: mailbox.last,
                    not_before: mailbox.not_before,
                    pending: mailbox.envelopes.len() as u64,
                    bytes: mailbox.envelopes.values().map(|message| message.contents.as_str().len() as u64).sum(),
                    refused_from: mailbox.refused_from(),
                    changed_at: None,
                };
                batch.add_mailbox(account.user.id, &account.user.username, counters);
            }
        }
        let keys = sends.iter().filter_map(|send| Some((send.sender_device, &send.idempotency.as_ref()?.0)));
        for (device, key) in keys {
            if let Some(known) = self.keys.get(&(device, key.as_str().to_owned())) {
                let stored = StoredReceipt { fingerprint: known.fingerprint.clone(), receipt: known.receipt.clone() };
                batch.receipts.insert(ScopedKey::new(device, key), stored);
            }
        }
        let sessions = self.accounts.iter().flat_map(|account| &account.sessions);
        batch.sessions = sessions.map(|(session, _)| session.id).collect();
        batch
    }

    fn apply(&mut self, changes: Changes<'_>) {
        self.last_message += changes.messages.len() as i64;
        for counters in &changes.mailboxes {
            if let Some(mailbox) = self.mailboxes.get_mut(&counters.device) {
                mailbox.last = counters.last;
                mailbox.not_before = counters.not_before;
            }
        }
        let messages: BTreeMap<_, _> = changes.messages.iter().map(|message| (message.id, message)).collect();
        for envelope in &changes.envelopes {
            let (Some(mailbox), Some(planned)) =
                (self.mailboxes.get_mut(&envelope.mailbox), messages.get(&envelope.message))
            else {
                continue;
            };
            let message = Message {
                id: planned.send,
                sender: Username::clone(planned.sender),
                sender_device: Some(planned.sender_device),
                recipient: planned.recipient.clone(),
                contents: Contents::new(planned.contents.to_owned()).unwrap_or_default(),
                sent_at: planned.sent_at,
                expires_at: envelope.expires_at,
            };
            mailbox.envelopes.insert(envelope.sequence, message);
        }
        for gap in changes.gaps {
            if let Some(mailbox) = self.mailboxes.get_mut(&gap.mailbox) {
                mailbox.refused.retain(|number| *number < gap.first);
                mailbox.refused.extend((gap.first.get()..=gap.last.get()).map(SequenceNumber::new));
            }
        }
        for planned in changes.receipts {
            let StoredReceipt { fingerprint, receipt } = planned.receipt;
            let keyed = KeyedSend { fingerprint, receipt, generation: self.key_generation };
            self.keys.insert((planned.key.device, planned.key.key), keyed);
        }
    }
}

impl Mailbox {
    /// Returns the first number of the gap at the end of the mailbox. `None` if the last envelope was not refused.
    fn refused_from(&self) -> Option<SequenceNumber> {
        let run = (1..=self.last.get()).rev().map(SequenceNumber::new).zip(self.refused.iter().rev().copied());
        run.take_while(|(number, refused)| number == refused).last().map(|(first, _)| first)
    }
}
