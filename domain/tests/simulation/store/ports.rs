//! Implements the ports, such as `Mailboxes`, for the store of a replica.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use woosh_domain::model::*;
use woosh_domain::ports::*;

use super::{ReplicaStore, lock, turn};
use crate::defect::Defect;
use crate::oracle::Oracle;

#[async_trait]
impl Mailboxes for ReplicaStore {
    async fn deliver(&self, mut new: NewDelivery) -> Result<DeliverOutcome, PortError> {
        if self.shared.defect == Some(Defect::KeysIgnored) {
            new.idempotency = None;
        }
        if self.shared.defect == Some(Defect::SendsLost) && new.idempotency.is_none() {
            // The oracle believes the answer, like the client.
            let backup = self.shared.store.backup();
            let operation = self.shared.store.deliver(new.clone());
            let outcome = self.write(operation, |oracle, outcome| oracle.deliver(&new, outcome)).await;
            self.shared.store.restore(backup);
            return outcome;
        }
        let Some(batch) = &self.batch else {
            let operation = self.shared.store.deliver(new.clone());
            return self.write(operation, |oracle, outcome| oracle.deliver(&new, outcome)).await;
        };
        let outcome = Arc::new(Mutex::new(None));
        lock(batch).push((new, outcome.clone()));
        turn().await;
        if lock(&outcome).is_none() {
            self.commit(batch);
        }
        turn().await;
        lock(&outcome).take().unwrap_or_else(|| Err(PortError::fault("the batch has no outcome")))
    }

    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        let operation = Mailboxes::read(&self.shared.store, mailbox, after, limit, now);
        Self::read(self, operation, |oracle, page| oracle.read(mailbox, after, limit, now, page.as_ref())).await
    }

    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError> {
        let operation = self.shared.store.acknowledge(mailbox, up_to, incarnation, limit);
        self.write(operation, |oracle, outcome| oracle.acknowledge(mailbox, up_to, incarnation, limit, *outcome)).await
    }

    async fn renew_incarnations(
        &self,
        after: Option<DeviceId>,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Vec<DeviceId>, PortError> {
        let operation = self.shared.store.renew_incarnations(after, incarnation, limit);
        let renew = |oracle: &mut Oracle, renewed: &Vec<DeviceId>| {
            for (device, mailbox) in &mut oracle.truth.mailboxes {
                if renewed.contains(device) {
                    mailbox.incarnation = incarnation;
                }
            }
            Ok(())
        };
        self.write(operation, renew).await
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        let raise = |oracle: &mut Oracle, (): &()| {
            if let Some(mailbox) = oracle.truth.mailboxes.get_mut(&mailbox) {
                mailbox.not_before = mailbox.not_before.max(moment);
            }
            Ok(())
        };
        self.write(self.shared.store.raise_not_before(mailbox, moment, now), raise).await
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError> {
        let operation = self.shared.store.acknowledge_before(mailbox, moment, limit);
        self.write(operation, |oracle, count| oracle.acknowledge_before(mailbox, moment, limit, *count)).await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.write(self.shared.store.expire(now, limit), |oracle, count| oracle.expire(now, *count)).await
    }

    async fn purge(&self, limit: usize) -> Result<bool, PortError> {
        self.write(self.shared.store.purge(limit), |_, _| Ok(())).await
    }

    async fn key_generation(&self) -> Result<KeyGeneration, PortError> {
        Self::read(self, self.shared.store.key_generation(), |_, _| Ok(())).await
    }

    async fn end_key_generation(&self, generation: KeyGeneration) -> Result<(), PortError> {
        let end = |oracle: &mut Oracle, (): &()| {
            let current = &mut oracle.truth.key_generation;
            *current += i64::from(*current == generation.get());
            Ok(())
        };
        self.write(self.shared.store.end_key_generation(generation), end).await
    }

    async fn expire_idempotency_keys(&self, before: KeyGeneration, limit: usize) -> Result<u64, PortError> {
        let operation = self.shared.store.expire_idempotency_keys(before, limit);
        self.write(operation, |oracle, count| oracle.expire_keys(before, *count)).await
    }
}

#[async_trait]
impl Sessions for ReplicaStore {
    async fn open(&self, new: NewSession) -> Result<OpenSessionOutcome, PortError> {
        let operation = self.shared.store.open(new.clone());
        self.write(operation, |oracle, outcome| oracle.open_session(&new, outcome)).await
    }

    async fn find(&self, token: &TokenHash) -> Result<Option<SessionOwner>, PortError> {
        if self.shared.defect == Some(Defect::EndedSessionsCached)
            && let Some(owner) = self.recall(token)
        {
            return Ok(Some(owner));
        }
        let operation = Sessions::find(&self.shared.store, token);
        let found = Self::read(self, operation, |oracle, found| oracle.find_session(token, found.as_ref())).await?;
        if let Some(owner) = &found {
            lock(&self.owners).insert(*token, owner.clone());
        }
        Ok(found)
    }

    fn recall(&self, token: &TokenHash) -> Option<SessionOwner> {
        lock(&self.owners).get(token).cloned()
    }

    async fn list(&self, user: UserId) -> Result<Vec<Session>, PortError> {
        Self::read(self, Sessions::list(&self.shared.store, user), |_, _| Ok(())).await
    }

    async fn end(&self, user: UserId, session: SessionId) -> Result<bool, PortError> {
        let operation = self.shared.store.end(user, session);
        self.write(operation, |oracle, ended| oracle.end_session(user, session, *ended)).await
    }
}

#[async_trait]
impl Devices for ReplicaStore {
    async fn list(&self, user: UserId) -> Result<Vec<Device>, PortError> {
        Self::read(self, Devices::list(&self.shared.store, user), |_, _| Ok(())).await
    }

    async fn delete(&self, user: UserId, device: DeviceId) -> Result<DeleteDeviceOutcome, PortError> {
        let operation = Devices::delete(&self.shared.store, user, device);
        self.write(operation, |oracle, outcome| oracle.delete_device(user, device, *outcome)).await
    }
}

#[async_trait]
impl Users for ReplicaStore {
    async fn add(&self, user: NewUser) -> Result<Option<RegisteredUser>, PortError> {
        let operation = self.shared.store.add(user.clone());
        self.write(operation, |oracle, added| oracle.add_user(&user, added.as_ref())).await
    }

    async fn find(&self, username: &Username) -> Result<Option<User>, PortError> {
        Self::read(self, Users::find(&self.shared.store, username), |_, _| Ok(())).await
    }

    async fn search(&self, prefix: &str, after: Option<Username>, limit: usize) -> Result<Vec<User>, PortError> {
        Self::read(self, self.shared.store.search(prefix, after, limit), |_, _| Ok(())).await
    }

    async fn credential(&self, username: &Username) -> Result<Option<Credential>, PortError> {
        Self::read(self, self.shared.store.credential(username), |_, _| Ok(())).await
    }

    async fn update(
        &self,
        id: UserId,
        change: UserChange,
        expected: Option<Version>,
    ) -> Result<UpdateUserOutcome, PortError> {
        self.write(self.shared.store.update(id, change, expected), |_, _| Ok(())).await
    }

    async fn set_password(
        &self,
        id: UserId,
        old: &PasswordHash,
        new: PasswordHash,
        keep: SessionId,
    ) -> Result<bool, PortError> {
        let operation = self.shared.store.set_password(id, old, new.clone(), keep);
        self.write(operation, |oracle, changed| oracle.set_password(id, old, &new, keep, *changed)).await
    }

    async fn delete(&self, id: UserId) -> Result<bool, PortError> {
        let operation = Users::delete(&self.shared.store, id);
        self.write(operation, |oracle, deleted| oracle.delete_user(id, *deleted)).await
    }
}

#[async_trait]
impl TimeStore for ReplicaStore {
    async fn shared_time(&self) -> Result<Option<Timestamp>, PortError> {
        let time = self.shared.time.clone();
        Self::read(self, async move { Ok(Some(time.shared())) }, |_, _| Ok(())).await
    }

    async fn trusted_time(&self) -> Result<Option<Timestamp>, PortError> {
        Self::read(self, self.shared.store.trusted_time(), |_, _| Ok(())).await
    }

    async fn set_trusted_time(&self, now: Timestamp) -> Result<(), PortError> {
        self.write(self.shared.store.set_trusted_time(now), |_, (): &()| Ok(())).await
    }
}
