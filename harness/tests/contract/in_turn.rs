use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use woosh_domain::model::{DeviceId, Incarnation, KeyGeneration, SequenceNumber, Timestamp};
use woosh_domain::ports::*;

/// The `Mailboxes` ports of several replicas as one port. Each call goes to the next replica in turn.
pub(crate) struct InTurn {
    replicas: Vec<Arc<dyn Mailboxes>>,
    calls: AtomicUsize,
}

impl InTurn {
    pub(crate) fn new(replicas: Vec<Arc<dyn Mailboxes>>) -> Self {
        Self { replicas, calls: AtomicUsize::new(0) }
    }

    fn next(&self) -> &dyn Mailboxes {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        self.replicas[call % self.replicas.len()].as_ref()
    }
}

#[async_trait]
impl Mailboxes for InTurn {
    async fn deliver(&self, delivery: NewDelivery) -> Result<DeliverOutcome, PortError> {
        self.next().deliver(delivery).await
    }

    async fn read(
        &self,
        mailbox: DeviceId,
        after: SequenceNumber,
        limit: PageLimit,
        now: Timestamp,
    ) -> Result<Option<MailboxPage>, PortError> {
        self.next().read(mailbox, after, limit, now).await
    }

    async fn acknowledge(
        &self,
        mailbox: DeviceId,
        up_to: SequenceNumber,
        incarnation: Option<Incarnation>,
        limit: usize,
    ) -> Result<AcknowledgeOutcome, PortError> {
        self.next().acknowledge(mailbox, up_to, incarnation, limit).await
    }

    async fn raise_not_before(&self, mailbox: DeviceId, moment: Timestamp, now: Timestamp) -> Result<(), PortError> {
        self.next().raise_not_before(mailbox, moment, now).await
    }

    async fn acknowledge_before(&self, mailbox: DeviceId, moment: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.next().acknowledge_before(mailbox, moment, limit).await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<u64, PortError> {
        self.next().expire(now, limit).await
    }

    async fn purge(&self, limit: usize) -> Result<bool, PortError> {
        self.next().purge(limit).await
    }

    async fn key_generation(&self) -> Result<KeyGeneration, PortError> {
        self.next().key_generation().await
    }

    async fn end_key_generation(&self, generation: KeyGeneration) -> Result<(), PortError> {
        self.next().end_key_generation(generation).await
    }

    async fn expire_idempotency_keys(&self, before: KeyGeneration, limit: usize) -> Result<u64, PortError> {
        self.next().expire_idempotency_keys(before, limit).await
    }

    async fn renew_incarnations(
        &self,
        after: Option<DeviceId>,
        incarnation: Incarnation,
        limit: usize,
    ) -> Result<Vec<DeviceId>, PortError> {
        self.next().renew_incarnations(after, incarnation, limit).await
    }
}
