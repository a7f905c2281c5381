use std::collections::HashSet;
use std::sync::Arc;

use super::Caller;
use crate::model::{Fingerprint, IdempotencyKey, Limits, Username};
use crate::ports::{AddressedContents, Clock, DeliverOutcome, Mailboxes, NewDelivery, PortError, Receipt};

/// Sends contents to one user or more.
pub struct SendMessage {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// What is for whom.
    pub recipients: Vec<AddressedContents>,
    /// How long it waits for its recipients, in seconds; as long as the server lets it where nothing is said.
    pub ttl_seconds: Option<u64>,
    /// The client's own name for it, so that it is sent once however often it is asked for (D4).
    pub key: Option<IdempotencyKey>,
}

/// A send that is stored.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// What its sender gets to know of it: the same each time that it is asked for under one key.
    pub receipt: Receipt,
    /// The names of the recipients as registered; none where it was stored before.
    pub recipients: Vec<Username>,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// There are no recipients, or more than [`SendMessage::MAX_RECIPIENTS`].
    #[error("recipients have to be 1 to {}", SendMessage::MAX_RECIPIENTS)]
    RecipientCount,
    /// Somebody is named twice.
    #[error("recipients name {0} twice")]
    NamedTwice(Username),
    /// The time to wait is not one that the server allows.
    #[error("ttl_seconds has to be 1 to {max}")]
    Ttl {
        /// The longest that it allows.
        max: u64,
    },
    /// Nobody has one of these names.
    #[error("recipient does not exist: {}", .0.iter().map(Username::as_str).collect::<Vec<_>>().join(", "))]
    UnknownRecipients(Vec<Username>),
    /// Every mailbox that it was for is full.
    #[error("the mailbox of every recipient is full; try again when they have read theirs")]
    AllMailboxesFull,
    /// Another send has the key.
    #[error("Idempotency-Key was used for another send")]
    KeyReused,
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SendMessage {
    /// The most recipients of one send.
    pub const MAX_RECIPIENTS: usize = 100;

    /// Works on these ports, within these limits.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>, limits: Limits) -> Self {
        Self { mailboxes, clock, limits }
    }

    /// Sends to all recipients or to none (D6); once this returns, it survives a crash (D1).
    ///
    /// # Errors
    ///
    /// Where a recipient does not exist, every mailbox is full, something is beyond its limit, the key was used for
    /// something else, or the port fails.
    pub async fn execute(&self, caller: &Caller, outgoing: SendRequest) -> Result<SentMessage, SendMessageError> {
        let SendRequest { recipients, ttl_seconds, key } = outgoing;
        if !(1..=Self::MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(SendMessageError::RecipientCount);
        }
        let mut named = HashSet::new();
        if let Some(twice) = recipients.iter().find(|addressed| !named.insert(addressed.recipient.key())) {
            return Err(SendMessageError::NamedTwice(twice.recipient.clone()));
        }
        let max = self.limits.ttl_seconds;
        if ttl_seconds.is_some_and(|seconds| !(1..=max).contains(&seconds)) {
            return Err(SendMessageError::Ttl { max });
        }
        let parts = recipients.iter().map(|addressed| (&addressed.recipient, &addressed.contents));
        let fingerprint = key.is_some().then(|| Fingerprint::of(parts, ttl_seconds));
        let delivery = NewDelivery {
            sender: caller.username.clone(),
            sender_device: caller.device,
            recipients,
            now: self.clock.now(),
            ttl_seconds: ttl_seconds.unwrap_or(max),
            quota: self.limits.mailbox,
            idempotency: key.zip(fingerprint),
        };
        match self.mailboxes.deliver(delivery).await? {
            DeliverOutcome::Stored { receipt, recipients } => Ok(SentMessage { receipt, recipients }),
            DeliverOutcome::Repeated(receipt) => Ok(SentMessage { receipt, recipients: Vec::new() }),
            DeliverOutcome::KeyReused => Err(SendMessageError::KeyReused),
            DeliverOutcome::UnknownRecipients(names) => Err(SendMessageError::UnknownRecipients(names)),
            DeliverOutcome::AllMailboxesFull => Err(SendMessageError::AllMailboxesFull),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Contents, DeviceId, Timestamp, UserId};
    use crate::ports::{MockClock, MockMailboxes};

    fn to(names: &[&str]) -> SendRequest {
        let addressed = |name: &&str| AddressedContents {
            recipient: Username::new(name).unwrap(),
            contents: Contents::new("hello".to_owned()).unwrap(),
        };
        SendRequest { recipients: names.iter().map(addressed).collect(), ttl_seconds: None, key: None }
    }

    async fn send(mailboxes: MockMailboxes, outgoing: SendRequest) -> Result<SentMessage, SendMessageError> {
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(1));
        let alice =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) };
        SendMessage::new(Arc::new(mailboxes), Arc::new(clock), Limits::default()).execute(&alice, outgoing).await
    }

    async fn refused(outgoing: SendRequest) -> SendMessageError {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().never();
        send(mailboxes, outgoing).await.unwrap_err()
    }

    #[tokio::test]
    async fn what_is_beyond_a_limit_is_refused_with_the_limit() {
        let names: Vec<_> = (0..101).map(|number| format!("user-{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        for recipients in [&[][..], &names] {
            let error = refused(to(recipients)).await;
            assert_eq!(error.to_string(), "recipients have to be 1 to 100");
        }
        for seconds in [0, 30 * 24 * 60 * 60 + 1] {
            let error = refused(SendRequest { ttl_seconds: Some(seconds), ..to(&["bob"]) }).await;
            assert_eq!(error.to_string(), "ttl_seconds has to be 1 to 2592000");
        }
    }

    #[tokio::test]
    async fn nobody_is_named_twice_in_any_spelling() {
        let error = refused(to(&["bob", "carol", "BOB"])).await;
        assert_eq!(error.to_string(), "recipients name BOB twice");
    }

    #[tokio::test]
    async fn a_recipient_that_is_not_there_is_told_from_a_store_that_fails() {
        let mut mailboxes = MockMailboxes::new();
        let names = vec![Username::new("nobody").unwrap()];
        mailboxes.expect_deliver().return_once(move |_| Ok(DeliverOutcome::UnknownRecipients(names)));
        let error = send(mailboxes, to(&["nobody"])).await.unwrap_err();
        assert_eq!(error.to_string(), "recipient does not exist: nobody");
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().returning(|_| Err(PortError::fault("broken")));
        let error = send(mailboxes, to(&["nobody"])).await.unwrap_err();
        assert!(matches!(error, SendMessageError::Port(PortError::Fault(_))));
    }
}
