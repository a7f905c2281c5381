//! A store and its model. Each operation of a test runs on both, and their results are compared.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use woosh_adapters::database::Database;
use woosh_domain::contract::{EnvelopeState, MailboxModel, ModelEnvelope};
use woosh_domain::model::*;
use woosh_domain::ports::*;

use crate::Step;

/// A quota that is so small that mailboxes are often full.
const QUOTA: Quota = Quota { messages: 6, bytes: 40 };
const START: i64 = 1_700_000_000;

/// A store with two new users, and the models of their mailboxes. Alice has two devices, and Carol has one.
pub(crate) struct World<'a> {
    stores: &'a Stores,
    /// The database of the stores. `None` if the stores are in memory.
    database: Option<&'a Database>,
    now: i64,
    users: [UserId; 2],
    names: [Username; 2],
    devices: [DeviceId; 3],
    models: [MailboxModel; 3],
    deleted: bool,
    count: u64,
}

impl<'a> World<'a> {
    pub(crate) async fn new(stores: &'a Stores, database: Option<&'a Database>) -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let register = async |name: &str| {
            let new = NewUser {
                username: Username::new(&format!("{name}-{world}")).unwrap(),
                password_hash: PasswordHash::new("hash".to_owned()),
                public_key: PublicKey::new(String::new()).unwrap(),
                private_key: None,
                info: Info::new(String::new()).unwrap(),
                device_name: DeviceName::new(String::new()).unwrap(),
                incarnation: Incarnation::new(0),
                token: None,
                created_at: Timestamp::from_seconds(START),
            };
            stores.users.add(new).await.unwrap().unwrap()
        };
        let (alice, carol) = (register("alice").await, register("carol").await);
        let mut bits = [7; 32];
        bits[..8].copy_from_slice(&world.to_be_bytes());
        let login = NewSession {
            user_id: alice.user.id,
            password_hash: PasswordHash::new("hash".to_owned()),
            device: None,
            may_add_device: true,
            device_name: DeviceName::new(String::new()).unwrap(),
            incarnation: Incarnation::new(0),
            token: Token::from_random(bits).hash(),
            now: Timestamp::from_seconds(START),
        };
        let OpenSessionOutcome::Opened(_, second) = stores.sessions.open(login).await.unwrap() else {
            panic!("the login failed")
        };
        let empty = MailboxModel::new(Incarnation::new(0), Timestamp::from_seconds(START));
        Self {
            stores,
            database,
            now: START,
            users: [alice.user.id, carol.user.id],
            names: [alice.user.username, carol.user.username],
            devices: [alice.device.id, second.id, carol.device.id],
            models: [empty.clone(), empty.clone(), empty],
            deleted: false,
            count: 0,
        }
    }

    pub(crate) async fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Tick(seconds) => self.now += seconds,
            Step::Send { to, size, ttl } => self.send(to, size, ttl).await?,
            Step::Read { mailbox, after, count, bytes } => self.read(mailbox, after, count, bytes).await?,
            Step::Acknowledge { mailbox, from_newest, in_current, limit } => {
                self.acknowledge(mailbox, from_newest, in_current, limit).await?;
            }
            Step::AcknowledgeBefore { mailbox, seconds } if !self.is_deleted(mailbox) => {
                let moment = Timestamp::from_seconds(self.now + seconds);
                let due = self.models[mailbox].acknowledge_before(moment, 1000);
                let deleted =
                    self.stores.mailboxes.acknowledge_before(self.devices[mailbox], moment, 1000).await.unwrap();
                prop_assert_eq!(deleted, due.len() as u64);
            }
            Step::AcknowledgeBefore { .. } => {}
            Step::Expire => {
                let now = Timestamp::from_seconds(self.now);
                while self.stores.mailboxes.expire(now, 1000).await.unwrap() > 0 {}
                for model in &mut self.models {
                    model.expire(now);
                }
            }
            Step::Restored => self.restored().await,
            Step::Delete => {
                let outcome = self.stores.devices.delete(self.users[0], self.devices[1]).await.unwrap();
                let expected = if self.deleted { DeleteDeviceOutcome::NotFound } else { DeleteDeviceOutcome::Deleted };
                prop_assert_eq!(outcome, expected);
                while self.stores.mailboxes.purge(3).await.unwrap() {}
                self.deleted = true;
            }
        }
        Ok(())
    }

    /// Gives all mailboxes a new incarnation. Lets each call of the store change at most two mailboxes, so that several
    /// calls are needed.
    async fn restored(&mut self) {
        static INCARNATIONS: AtomicI64 = AtomicI64::new(1);
        let incarnation = INCARNATIONS.fetch_add(1, Ordering::Relaxed);
        let mut after = None;
        loop {
            let renewed =
                self.stores.mailboxes.renew_incarnations(after, Incarnation::new(incarnation), 2).await.unwrap();
            let Some(last) = renewed.last() else { break };
            after = Some(*last);
        }
        for model in &mut self.models {
            model.incarnation = Incarnation::new(incarnation);
        }
    }

    fn is_deleted(&self, mailbox: usize) -> bool {
        self.deleted && mailbox == 1
    }

    /// Sends a message on the store and on the model, and compares the results. Verifies promises D3 (order), D6
    /// (atomic fan-out) and D7 (visible loss) of the delivery contract.
    async fn send(&mut self, to: u8, size: usize, ttl: u64) -> Result<(), TestCaseError> {
        self.count += 1;
        let text = format!("{:0>size$}", self.count, size = size)[..size].to_owned();
        let names: Vec<_> =
            self.names.iter().enumerate().filter(|(index, _)| to == 2 || *index == to as usize).collect();
        let delivery = NewDelivery {
            sender: Username::new("bob").unwrap(),
            sender_device: DeviceId::new(4711),
            session: None,
            recipients: names
                .iter()
                .map(|(_, name)| AddressedContents {
                    recipient: (*name).clone(),
                    contents: Contents::new(text.clone()).unwrap(),
                })
                .collect(),
            now: Timestamp::from_seconds(self.now),
            ttl_seconds: ttl,
            quota: QUOTA,
            idempotency: None,
        };
        let outcome = self.stores.mailboxes.deliver(delivery).await.unwrap();
        let is_addressed = |mailbox: &usize| match mailbox {
            2 => to != 0,
            _ => to != 1 && !self.is_deleted(*mailbox),
        };
        let addressed: Vec<usize> = (0..3).filter(is_addressed).collect();
        let watermarks = addressed.iter().map(|mailbox| self.models[*mailbox].not_before);
        let sent_at = watermarks.fold(Timestamp::from_seconds(self.now), Timestamp::max);
        let is_full = |mailbox: &usize| !self.models[*mailbox].has_room(size, QUOTA);
        let full: Vec<_> = addressed.iter().copied().filter(is_full).collect();
        let id = match outcome {
            DeliverOutcome::Stored { receipt, .. } => {
                prop_assert_eq!(receipt.sent_at, sent_at);
                let undelivered: Vec<_> = receipt.undelivered.iter().map(|undelivered| undelivered.device).collect();
                let mut expected: Vec<_> = full.iter().map(|mailbox| self.devices[*mailbox]).collect();
                expected.sort_unstable();
                prop_assert_eq!(undelivered, expected);
                receipt.id
            }
            DeliverOutcome::AllMailboxesFull => {
                prop_assert_eq!(&full, &addressed);
                MessageId::new(0)
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        for mailbox in addressed {
            let state = if full.contains(&mailbox) { EnvelopeState::Refused } else { EnvelopeState::Stored };
            let expires_at = sent_at.plus_seconds(ttl);
            self.models[mailbox].add(ModelEnvelope { id, text: text.clone(), sent_at, expires_at, state });
        }
        Ok(())
    }

    /// Reads a page from the store and from the model, and compares the pages. Verifies promises D3 (order), D7
    /// (visible loss) and D10 (agnostic) of the delivery contract.
    async fn read(&self, mailbox: usize, after: i64, count: usize, bytes: usize) -> Result<(), TestCaseError> {
        let (now, limit) = (Timestamp::from_seconds(self.now), PageLimit { count, bytes });
        let read = self.stores.mailboxes.read(self.devices[mailbox], SequenceNumber::new(after), limit, now);
        let page = read.await.unwrap();
        if self.is_deleted(mailbox) {
            prop_assert_eq!(page, None);
            return Ok(());
        }
        let checked = self.models[mailbox].check_page(&page.unwrap(), SequenceNumber::new(after), limit, now);
        checked.map_err(TestCaseError::fail)
    }

    /// Acknowledges envelopes in the store and in the model, and compares the results. Verifies promises D2 (no loss)
    /// and D5 (idempotent acknowledge) of the delivery contract.
    async fn acknowledge(
        &mut self,
        mailbox: usize,
        from_newest: i64,
        in_current: Option<bool>,
        limit: usize,
    ) -> Result<(), TestCaseError> {
        let model = &mut self.models[mailbox];
        let requested = SequenceNumber::new((model.last().get() + from_newest).max(0));
        let current = model.incarnation;
        let other = Incarnation::new(!current.get());
        let incarnation = in_current.map(|in_current| if in_current { current } else { other });
        let acknowledged = self.stores.mailboxes.acknowledge(self.devices[mailbox], requested, incarnation, limit);
        let outcome = acknowledged.await.unwrap();
        if self.deleted && mailbox == 1 {
            prop_assert_eq!(outcome, AcknowledgeOutcome::NotFound);
            return Ok(());
        }
        model.acknowledge(requested, incarnation, limit, outcome).map_err(TestCaseError::fail)
    }

    /// Deletes expired envelopes. On a database, also fails if the tables are inconsistent.
    async fn audit(&mut self) -> Result<(), TestCaseError> {
        self.run(Step::Expire).await?;
        if let Some(database) = self.database {
            let now = Timestamp::from_seconds(self.now);
            prop_assert_eq!(database.sweep_and_audit(Some(now)).await.unwrap(), Vec::<String>::new());
        }
        Ok(())
    }

    /// Audits the tables, reads and acknowledges all mailboxes, and deletes the users.
    pub(crate) async fn finish(mut self) -> Result<(), TestCaseError> {
        self.audit().await?;
        for mailbox in 0..3 {
            self.read(mailbox, 0, 1000, 1000).await?;
            self.acknowledge(mailbox, 0, Some(true), 1000).await?;
            self.read(mailbox, 0, 1000, 1000).await?;
        }
        for user in self.users {
            prop_assert!(self.stores.users.delete(user).await.unwrap());
        }
        self.audit().await
    }
}
