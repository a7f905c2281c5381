use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::model::{
    DeviceId, Envelope, Info, Message, MessageId, PasswordHash, SequenceNumber, Timestamp, User, UserId, Username,
};
use crate::ports::{Credential, Mailboxes, NewMessage, NewUser, Page, PortError, Stores, Users};

/// Users and mailboxes in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    accounts: Vec<Account>,
    mailboxes: HashMap<DeviceId, Mailbox>,
    last_message: i64,
}

#[derive(Debug)]
struct Account {
    user: User,
    password_hash: PasswordHash,
    devices: Vec<DeviceId>,
}

#[derive(Debug)]
struct Mailbox {
    last: SequenceNumber,
    not_before: Timestamp,
    closed_at: Timestamp,
    envelopes: BTreeMap<SequenceNumber, Message>,
}

impl MemoryStore {
    /// An empty store, as the ports.
    pub fn stores() -> Stores {
        let store = Arc::new(Self::default());
        Stores { users: store.clone(), mailboxes: store }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A step that panicked has failed its test already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn account(&self, username: &Username) -> Option<&Account> {
        self.accounts.iter().find(|account| account.user.username.is_same_as(username))
    }
}

#[async_trait]
impl Users for MemoryStore {
    async fn add(&self, new: NewUser) -> Result<Option<User>, PortError> {
        let mut state = self.state();
        if state.account(&new.username).is_some() {
            return Ok(None);
        }
        let id = state.accounts.len() as i64 + 1;
        let device = DeviceId::new(id);
        let mailbox = Mailbox {
            last: SequenceNumber::ZERO,
            not_before: new.created_at,
            closed_at: new.created_at,
            envelopes: BTreeMap::new(),
        };
        state.mailboxes.insert(device, mailbox);
        let user = User {
            id: UserId::new(id),
            username: new.username,
            public_key: new.public_key,
            private_key: new.private_key,
            info: new.info,
        };
        state.accounts.push(Account { user: user.clone(), password_hash: new.password_hash, devices: vec![device] });
        Ok(Some(user))
    }

    async fn find(&self, username: &Username) -> Result<Option<User>, PortError> {
        Ok(self.state().account(username).map(|account| account.user.clone()))
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError> {
        Ok(self.state().account(username).map(|account| Credential {
            user_id: account.user.id,
            username: account.user.username.clone(),
            password_hash: account.password_hash.clone(),
            first_device: account.devices[0],
        }))
    }

    async fn set_info(&self, id: UserId, info: Info) -> Result<Option<User>, PortError> {
        let mut state = self.state();
        let account = state.accounts.iter_mut().find(|account| account.user.id == id);
        Ok(account.map(|account| {
            account.user.info = info;
            account.user.clone()
        }))
    }
}

#[async_trait]
impl Mailboxes for MemoryStore {
    async fn deliver(&self, new: NewMessage) -> Result<Option<Message>, PortError> {
        let state = &mut *self.state();
        let Some(account) = state.account(&new.recipient) else {
            return Ok(None);
        };
        let recipient = account.user.username.clone();
        let devices = account.devices.clone();
        let sent_at = devices.iter().map(|device| state.mailboxes[device].not_before).fold(new.now, Timestamp::max);
        state.last_message += 1;
        let message = Message {
            id: MessageId::new(state.last_message),
            sender: new.sender,
            recipient,
            contents: new.contents,
            sent_at,
        };
        for device in devices {
            if let Some(mailbox) = state.mailboxes.get_mut(&device) {
                mailbox.last = mailbox.last.next();
                mailbox.not_before = sent_at;
                mailbox.envelopes.insert(mailbox.last, message.clone());
            }
        }
        Ok(Some(message))
    }

    async fn read(&self, mailbox: DeviceId, after: SequenceNumber, limit: usize) -> Result<Page, PortError> {
        let state = self.state();
        let Some(mailbox) = state.mailboxes.get(&mailbox) else {
            return Ok(Page::EMPTY);
        };
        let envelopes = mailbox.envelopes.range(after.next()..).take(limit);
        Ok(Page {
            not_before: mailbox.not_before,
            closed_at: mailbox.closed_at,
            envelopes: envelopes
                .map(|(sequence, message)| Envelope { sequence: *sequence, message: message.clone() })
                .collect(),
        })
    }

    async fn close_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
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
        mailbox.envelopes.retain(|sequence, _| !older.contains(sequence));
        Ok(older.len() as u64)
    }
}
