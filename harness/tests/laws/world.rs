//! A store beside its model: each step is taken on both, and compared.

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use woosh_domain::model::*;
use woosh_domain::ports::*;

use crate::Step;
use crate::model::{Fate, Model, QUOTA, START, Sent};

/// Alice with two devices and Carol with one, who are new in the store.
pub(crate) struct World<'a> {
    stores: &'a Stores,
    now: i64,
    users: [UserId; 2],
    names: [Username; 2],
    devices: [DeviceId; 3],
    models: [Model; 3],
    deleted: bool,
    count: u64,
}

impl<'a> World<'a> {
    pub(crate) async fn new(stores: &'a Stores) -> Self {
        static WORLDS: AtomicU64 = AtomicU64::new(0);
        let world = WORLDS.fetch_add(1, Ordering::Relaxed);
        let join = async |name: &str| {
            let new = NewUser {
                username: Username::new(&format!("{name}-{world}")).unwrap(),
                password_hash: PasswordHash::new("hash".to_owned()),
                public_key: PublicKey::new(String::new()).unwrap(),
                private_key: None,
                info: Info::new(String::new()).unwrap(),
                device_name: DeviceName::new(String::new()).unwrap(),
                token: None,
                created_at: Timestamp::from_seconds(START),
            };
            stores.users.add(new).await.unwrap().unwrap()
        };
        let (alice, carol) = (join("alice").await, join("carol").await);
        let mut bits = [7; 32];
        bits[..8].copy_from_slice(&world.to_be_bytes());
        let login = NewSession {
            user_id: alice.user.id,
            password_hash: PasswordHash::new("hash".to_owned()),
            device: None,
            device_name: DeviceName::new(String::new()).unwrap(),
            token: Token::from_random(bits).hash(),
            now: Timestamp::from_seconds(START),
        };
        let OpenSessionOutcome::Opened(_, second) = stores.sessions.open(login).await.unwrap() else {
            panic!("no login")
        };
        let fresh = Model { not_before: START, ..Model::default() };
        Self {
            stores,
            now: START,
            users: [alice.user.id, carol.user.id],
            names: [alice.user.username, carol.user.username],
            devices: [alice.device.id, second.id, carol.device.id],
            models: [fresh.clone(), fresh.clone(), fresh],
            deleted: false,
            count: 0,
        }
    }

    pub(crate) async fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Tick(seconds) => self.now += seconds,
            Step::Send { to, size, ttl } => self.send(to, size, ttl).await?,
            Step::Read { mailbox, after, count, bytes } => self.read(mailbox, after, count, bytes).await?,
            Step::Acknowledge { mailbox, from_newest, limit } => self.acknowledge(mailbox, from_newest, limit).await?,
            Step::AcknowledgeBefore { mailbox, seconds } if !self.is_deleted(mailbox) => {
                let moment = self.now + seconds;
                let model = &mut self.models[mailbox];
                // Whatever lies below, refused or expired, goes along.
                let due = model.pending().take_while(|(_, sent)| sent.sent_at < moment);
                let due: Vec<_> = due.map(|(number, _)| number).collect();
                model.acknowledged = due.last().copied().unwrap_or(model.acknowledged);
                let moment = Timestamp::from_seconds(moment);
                let deleted =
                    self.stores.mailboxes.acknowledge_before(self.devices[mailbox], moment, 1000).await.unwrap();
                prop_assert_eq!(deleted, due.len() as u64);
            }
            Step::AcknowledgeBefore { .. } => {}
            Step::Expire => {
                let now = Timestamp::from_seconds(self.now);
                while self.stores.mailboxes.expire(now, 1000).await.unwrap() > 0 {}
                for sent in self.models.iter_mut().flat_map(|model| &mut model.sent) {
                    if sent.fate == Fate::Pending && sent.expires_at <= self.now {
                        sent.fate = Fate::Reaped;
                    }
                }
            }
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

    fn is_deleted(&self, mailbox: usize) -> bool {
        self.deleted && mailbox == 1
    }

    async fn send(&mut self, to: u8, size: usize, ttl: u64) -> Result<(), TestCaseError> {
        self.count += 1;
        let text = format!("{:0>size$}", self.count, size = size)[..size].to_owned();
        let names: Vec<_> =
            self.names.iter().enumerate().filter(|(place, _)| to == 2 || *place == to as usize).collect();
        let delivery = NewDelivery {
            sender: Username::new("bob").unwrap(),
            sender_device: DeviceId::new(4711),
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
        let reached = |mailbox: &usize| match mailbox {
            2 => to != 0,
            _ => to != 1 && !self.is_deleted(*mailbox),
        };
        let reached: Vec<usize> = (0..3).filter(reached).collect();
        let stamp = reached.iter().map(|mailbox| self.models[*mailbox].not_before).fold(self.now, i64::max);
        let full: Vec<_> = reached.iter().copied().filter(|mailbox| !self.models[*mailbox].has_room(size)).collect();
        let id = match outcome {
            DeliverOutcome::Stored { receipt, .. } => {
                prop_assert_eq!(receipt.sent_at, Timestamp::from_seconds(stamp));
                let missed: Vec<_> = receipt.undelivered.iter().map(|missed| missed.device).collect();
                let mut expected: Vec<_> = full.iter().map(|mailbox| self.devices[*mailbox]).collect();
                expected.sort_unstable();
                prop_assert_eq!(missed, expected);
                receipt.id
            }
            DeliverOutcome::AllMailboxesFull => {
                prop_assert_eq!(&full, &reached);
                MessageId::new(0)
            }
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        };
        for mailbox in reached {
            let fate = if full.contains(&mailbox) { Fate::Refused } else { Fate::Pending };
            let model = &mut self.models[mailbox];
            model.not_before = stamp;
            let expires_at = stamp + ttl as i64;
            model.sent.push(Sent { id, text: text.clone(), sent_at: stamp, expires_at, fate });
        }
        Ok(())
    }

    async fn read(&self, mailbox: usize, after: i64, count: usize, bytes: usize) -> Result<(), TestCaseError> {
        let (now, limit) = (Timestamp::from_seconds(self.now), PageLimit { count, bytes });
        let read = self.stores.mailboxes.read(self.devices[mailbox], SequenceNumber::new(after), limit, now);
        let page = read.await.unwrap();
        if self.is_deleted(mailbox) {
            prop_assert_eq!(page, MailboxPage::EMPTY);
            return Ok(());
        }
        let model = &self.models[mailbox];
        let (there, missing, has_more) = model.page(after, count, bytes, self.now);
        let read: Vec<_> = page
            .envelopes
            .iter()
            .map(|kept| (kept.sequence.get(), kept.message.id, kept.message.contents.as_str().to_owned()))
            .collect();
        prop_assert_eq!(read, there);
        prop_assert_eq!(page.has_more, has_more);
        prop_assert_eq!((page.acknowledged.get(), page.last.get()), (model.acknowledged, model.newest()));
        let gaps =
            page.gaps.iter().flat_map(|gap| (gap.first.get()..=gap.last.get()).map(|number| (number, gap.reason)));
        let expected = missing.into_iter().map(|number| match model.sent[number as usize - 1].fate {
            Fate::Refused => (number, GapReason::MailboxFull),
            Fate::Pending | Fate::Reaped => (number, GapReason::Expired),
        });
        prop_assert_eq!(gaps.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        Ok(())
    }

    async fn acknowledge(&mut self, mailbox: usize, from_newest: i64, limit: usize) -> Result<(), TestCaseError> {
        let model = &mut self.models[mailbox];
        let up_to = (model.newest() + from_newest).max(0);
        let numbers = SequenceNumber::new(up_to);
        let outcome = self.stores.mailboxes.acknowledge(self.devices[mailbox], numbers, limit).await.unwrap();
        if self.deleted && mailbox == 1 {
            let beyond = up_to > 0;
            prop_assert_eq!(outcome == AcknowledgeOutcome::Beyond(SequenceNumber::ZERO), beyond);
            return Ok(());
        }
        let expected = if up_to > model.newest() {
            AcknowledgeOutcome::Beyond(SequenceNumber::new(model.newest()))
        } else {
            let due: Vec<_> = model.pending().map(|(number, _)| number).take_while(|number| *number <= up_to).collect();
            // A step that meets its limit may say so a step later.
            let reached = if due.len() < limit { up_to } else { due[limit - 1] };
            let AcknowledgeOutcome::UpTo(told) = outcome else {
                return Err(TestCaseError::fail(format!("{outcome:?}")));
            };
            let all = due.len() == limit && told == numbers;
            model.acknowledged = model.acknowledged.max(if all { up_to } else { reached });
            AcknowledgeOutcome::UpTo(SequenceNumber::new(model.acknowledged))
        };
        prop_assert_eq!(outcome, expected);
        Ok(())
    }

    /// Everything can be had and acknowledged, and nothing is left.
    pub(crate) async fn end(mut self) -> Result<(), TestCaseError> {
        for mailbox in 0..3 {
            self.read(mailbox, 0, 1000, 1000).await?;
            self.acknowledge(mailbox, 0, 1000).await?;
            self.read(mailbox, 0, 1000, 1000).await?;
        }
        for user in self.users {
            prop_assert!(self.stores.users.delete(user).await.unwrap());
        }
        while self.stores.mailboxes.purge(1000).await.unwrap() {}
        Ok(())
    }
}
