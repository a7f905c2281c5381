//! In-memory implementations of all traits of the domain (ports) that a database implements.

mod batches;
mod devices;
mod disk;
mod mailboxes;
mod notifier;
mod sessions;
mod stream_tickets;
mod time;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::notifier::MemoryNotifier;
use crate::model::{
    Device, DeviceId, DeviceName, Incarnation, Message, PasswordHash, SequenceNumber, Session, SessionId, Timestamp,
    TokenHash, User, UserId, Username,
};
use crate::ports::{NewStreamTicket, Receipt, Stores};

/// Users, devices, sessions and mailboxes in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    notifier: MemoryNotifier,
}

/// The contents of a store at an earlier time.
#[derive(Debug, Clone)]
pub struct Backup(State);

#[derive(Debug, Clone, Default)]
struct State {
    accounts: Vec<Account>,
    deleted_usernames: HashSet<String>,
    mailboxes: HashMap<DeviceId, Mailbox>,
    keys: HashMap<(DeviceId, String), KeyedSend>,
    /// The number of the current generation of idempotency keys.
    key_generation: i64,
    stream_tickets: Vec<NewStreamTicket>,
    last_user: i64,
    last_device: i64,
    last_session: i64,
    last_message: i64,
    trusted_time: Option<Timestamp>,
}

#[derive(Debug, Clone)]
struct Account {
    user: User,
    password_hash: PasswordHash,
    devices: Vec<Device>,
    sessions: Vec<(Session, TokenHash)>,
}

#[derive(Debug, Clone)]
struct Mailbox {
    incarnation: Incarnation,
    last: SequenceNumber,
    acknowledged: SequenceNumber,
    not_before: Timestamp,
    closed_at: Timestamp,
    envelopes: BTreeMap<SequenceNumber, Message>,
    refused: Vec<SequenceNumber>,
}

/// A send stored under an idempotency key.
#[derive(Debug, Clone)]
struct KeyedSend {
    fingerprint: Vec<u8>,
    receipt: Receipt,
    generation: i64,
}

impl MemoryStore {
    /// Creates an empty store. Returns the traits of the domain (ports) that the store implements.
    pub fn stores() -> Stores {
        let store = Arc::new(Self::default());
        Stores {
            users: store.clone(),
            devices: store.clone(),
            sessions: store.clone(),
            stream_tickets: store.clone(),
            notifier: Arc::new(store.notifier.clone()),
            time: store.clone(),
            disk: store.clone(),
            mailboxes: store,
        }
    }

    /// Returns a copy of all that is stored.
    pub fn backup(&self) -> Backup {
        Backup(self.state().clone())
    }

    /// Replaces all that is stored with the contents of a backup. Notifies nobody, because servers stop before a
    /// restore.
    pub fn restore(&self, backup: Backup) {
        *self.state() = backup.0;
    }

    /// Returns the mailboxes that the store has sent notifications for since the last call of this method. For tests
    /// that have a notifier of their own.
    pub fn take_notified(&self) -> BTreeSet<DeviceId> {
        self.notifier.take_notified()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Ignores poisoning, because a poisoned lock means that a test has failed already.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn account(&self, username: &Username) -> Option<&Account> {
        self.accounts.iter().find(|account| account.user.username.is_same_as(username))
    }

    fn account_of(&mut self, id: UserId) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|account| account.user.id == id)
    }

    fn add_device(&mut self, name: DeviceName, incarnation: Incarnation, now: Timestamp) -> Device {
        self.last_device += 1;
        let device = Device { id: DeviceId::new(self.last_device), name, created_at: now };
        let mailbox = Mailbox {
            incarnation,
            last: SequenceNumber::ZERO,
            acknowledged: SequenceNumber::ZERO,
            not_before: now,
            closed_at: now,
            envelopes: BTreeMap::new(),
            refused: Vec::new(),
        };
        self.mailboxes.insert(device.id, mailbox);
        device
    }

    fn add_session(&mut self, device: DeviceId, now: Timestamp) -> Session {
        self.last_session += 1;
        Session { id: SessionId::new(self.last_session), device, created_at: now }
    }

    fn delete_device(&mut self, device: DeviceId) {
        self.mailboxes.remove(&device);
    }
}
