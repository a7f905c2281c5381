use std::collections::HashMap;
use std::num::NonZero;

use lru::LruCache;
use woosh_domain::planner::{BatchState, RecipientState};
use woosh_domain::ports::NewDelivery;

use super::write::Counters;
use crate::store::recipient_keys;

/// Maximum number of recipients to remember. So many recipients take a few megabytes.
const CAPACITY: NonZero<usize> = NonZero::new(10_000).unwrap();

/// The recipients of the latest sends that one lane (a queue of sends) has stored, and the state of their mailboxes
/// after these sends. This state may be outdated, because other replicas and other lanes may have changed the mailboxes
/// since. If nothing was sent to a mailbox since, its remembered number and size of envelopes are upper bounds, because
/// acknowledgements and expiry only lower them.
pub(super) struct KnownRecipients(LruCache<String, RecipientState>);

impl Default for KnownRecipients {
    fn default() -> Self {
        Self(LruCache::new(CAPACITY))
    }
}

impl KnownRecipients {
    /// Removes and returns the known recipients of `sends`, so that no outdated state is left if the sends fail. Also
    /// returns the usernames, in lower case, of the recipients that are not known.
    pub(super) fn take(&mut self, sends: &[&NewDelivery]) -> (BatchState, Vec<String>) {
        let mut state = BatchState::default();
        let mut unknown = Vec::new();
        for key in recipient_keys(sends) {
            match self.0.pop(&key) {
                Some(recipient) => _ = state.recipients.insert(key, recipient),
                None => unknown.push(key),
            }
        }
        (state, unknown)
    }

    /// Removes the recipients of `sends`.
    pub(super) fn forget(&mut self, sends: &[&NewDelivery]) {
        for key in recipient_keys(sends) {
            self.0.pop(&key);
        }
    }

    /// Remembers the recipients of a batch that was stored, with the state that their mailboxes have in the plan of the
    /// batch. In the mailboxes that the batch has changed, `counters` replaces some planned values by the stored
    /// values, which the database has returned.
    pub(super) fn put(&mut self, recipients: HashMap<String, RecipientState>, counters: &Counters) {
        for (key, mut recipient) in recipients {
            for mailbox in &mut recipient.mailboxes {
                mailbox.changed_at = None;
                if let Some(counters) = counters.get(&mailbox.device) {
                    mailbox.acknowledged = counters.acknowledged;
                    mailbox.pending = counters.pending;
                    mailbox.bytes = counters.bytes;
                }
            }
            self.0.put(key, recipient);
        }
    }
}
