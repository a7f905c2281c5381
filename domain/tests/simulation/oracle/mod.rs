//! The oracle: a model of all that the store must hold. Each operation of the store runs on the oracle, too, and the
//! oracle checks that the outcome is right.

mod accounts;
mod mailboxes;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use woosh_domain::contract::{MailboxModel, ModelEnvelope};
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_domain::timekeeping::TOLERANCE;

use crate::time::VirtualTime;

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The numbers of the broken promises, such as D3, and the rule that was broken.
    pub(crate) check: &'static str,
    pub(crate) detail: String,
}

pub(crate) type Check = Result<(), Violation>;

/// Returns `Ok` if `holds` is true. Otherwise returns a violation of the rule `check`.
pub(crate) fn ensure(holds: bool, check: &'static str, detail: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(Violation { check, detail: detail() }) }
}

/// A send of a client. The client may have repeated its request.
#[derive(Debug, Clone)]
pub(crate) struct Send {
    pub(crate) recipients: Vec<Username>,
    pub(crate) text: String,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) ttl: Option<u64>,
    /// When the client first made the request, in the simulation's own time, which is always right.
    pub(crate) requested: Timestamp,
    /// The receipt that the client has received.
    pub(crate) receipt: Option<Receipt>,
}

pub(crate) struct Oracle {
    /// What the store must hold. A restore from a backup replaces this by what the store held when the backup was made.
    pub(crate) truth: Truth,
    /// All sends, including those that a restore from a backup undoes. The text of each send begins with its index in
    /// this list.
    pub(crate) sends: Vec<Send>,
    /// Whether several clocks may be wrong at once, so that messages may expire early.
    pub(crate) are_clocks_wrong: bool,
    /// The first violation.
    pub(crate) violation: Option<Violation>,
    time: Arc<VirtualTime>,
}

/// What the store holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    pub(crate) accounts: BTreeMap<UserId, Account>,
    pub(crate) deleted_names: BTreeSet<String>,
    pub(crate) mailboxes: BTreeMap<DeviceId, MailboxModel>,
    pub(crate) sessions: BTreeMap<SessionId, (UserId, DeviceId)>,
    pub(crate) tokens: HashMap<TokenHash, SessionId>,
    keys: BTreeMap<(DeviceId, String), StoredKey>,
    /// The current generation of idempotency keys, as a number.
    pub(crate) key_generation: i64,
    pub(crate) ids: BTreeSet<MessageId>,
    /// When each send was stored, by the index of the send.
    stored: BTreeMap<usize, Timestamp>,
    /// For each device, the highest sequence number that its client asked to acknowledge.
    pub(crate) requested: BTreeMap<DeviceId, SequenceNumber>,
    /// For each device, the messages that polls of the classic API have returned.
    pub(crate) polled: BTreeMap<DeviceId, BTreeSet<MessageId>>,
}

#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: Username,
    pub(crate) password: String,
    pub(crate) devices: BTreeSet<DeviceId>,
}

#[derive(Debug, Clone)]
struct StoredKey {
    fingerprint: Fingerprint,
    receipt: Receipt,
    stored: Timestamp,
    /// The generation in which the key was stored, as a number.
    generation: i64,
}

impl Truth {
    pub(crate) fn account(&self, name: &Username) -> Option<&Account> {
        self.accounts.values().find(|account| account.name.is_same_as(name))
    }

    pub(crate) fn session(&self, token: &TokenHash) -> Option<(SessionId, UserId, DeviceId)> {
        let session = self.tokens.get(token)?;
        self.sessions.get(session).map(|(user, device)| (*session, *user, *device))
    }

    fn open(&mut self, session: SessionId, user: UserId, device: DeviceId, token: TokenHash) {
        self.sessions.insert(session, (user, device));
        self.tokens.insert(token, session);
    }

    fn delete_device(&mut self, device: DeviceId) {
        self.mailboxes.remove(&device);
        self.sessions.retain(|_, (_, of)| *of != device);
    }
}

impl Oracle {
    pub(crate) fn new(time: Arc<VirtualTime>) -> Self {
        Self { truth: Truth::default(), sends: Vec::new(), are_clocks_wrong: false, violation: None, time }
    }

    /// Remembers the first violation.
    pub(crate) fn record(&mut self, check: Check) {
        if let (Err(violation), None) = (check, &self.violation) {
            self.violation = Some(violation);
        }
    }

    /// Returns the index in `sends` of the send whose contents are `text`.
    pub(crate) fn send_of(&self, text: &str) -> Option<usize> {
        text.split(':').next()?.parse().ok().filter(|index| *index < self.sends.len())
    }

    /// Returns the right time.
    pub(crate) fn now(&self) -> Timestamp {
        self.time.now()
    }

    /// Returns whether a message may have expired by the right time. Always returns true if several clocks may be
    /// wrong, because messages may then expire early.
    fn may_be_expired(&self, envelope: &ModelEnvelope) -> bool {
        let Some(send) = self.send_of(&envelope.text).map(|index| &self.sends[index]) else { return true };
        let expires = send.requested.plus_seconds(send.ttl.unwrap_or(crate::replica::LIMITS.ttl_seconds));
        self.are_clocks_wrong || self.now().plus(TOLERANCE) >= expires
    }

    /// Checks that no message of the mailbox expires early (D2). `now` is the time by which the store lets messages
    /// expire. Every message that has expired by this time must also be allowed to expire by the right time.
    fn check_expiry(&self, mailbox: &MailboxModel, now: Timestamp) -> Check {
        let mut expired = mailbox.pending().filter(|(_, envelope)| envelope.expires_at <= now);
        let early = expired.find(|(_, envelope)| !self.may_be_expired(envelope));
        ensure(early.is_none(), "D2 no message expires early", || format!("{early:?} at {:?}", self.now()))
    }
}
