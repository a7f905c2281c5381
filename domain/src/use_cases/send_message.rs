use std::collections::HashSet;
use std::sync::Arc;

use super::{Caller, Room};
use crate::model::{Fingerprint, IdempotencyKey, Limits, SessionId, Username};
use crate::ports::{AddressedContents, Clock, DeliverOutcome, Mailboxes, NewDelivery, PortError, Receipt};

/// Sends a message to one or more users.
pub struct SendMessage {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    room: Arc<Room>,
}

/// A request to send a message.
#[derive(Debug, Clone)]
pub struct SendRequest {
    /// Recipients with their contents; each user at most once.
    pub recipients: Vec<AddressedContents>,
    /// Seconds until the message expires unread. Defaults to the server's maximum.
    pub ttl_seconds: Option<u64>,
    /// The idempotency key, which makes retries safe: requests with the same key and contents from the same device
    /// store one message (D4).
    pub key: Option<IdempotencyKey>,
}

/// A send that has been stored.
#[derive(Debug, Clone)]
pub struct SentMessage {
    /// The receipt for the sender. Every repetition of the send under the same idempotency key returns the same
    /// receipt.
    pub receipt: Receipt,
    /// The usernames of the recipients, with upper and lower case as registered. Empty if the send was already stored
    /// under the same idempotency key.
    pub recipients: Vec<Username>,
}

/// Why a send was refused.
#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// The request has no recipients, or more than [`SendMessage::MAX_RECIPIENTS`].
    #[error("recipients have to be 1 to {}", SendMessage::MAX_RECIPIENTS)]
    RecipientCount,
    /// The request lists this recipient more than once.
    #[error("recipients name {0} twice")]
    NamedTwice(Username),
    /// `ttl_seconds` is zero or above the server's maximum.
    #[error("ttl_seconds has to be 1 to {max}")]
    Ttl {
        /// The server's maximum.
        max: u64,
    },
    /// These users do not exist.
    #[error("recipient does not exist: {}", .0.iter().map(Username::as_str).collect::<Vec<_>>().join(", "))]
    UnknownRecipients(Vec<Username>),
    /// The mailboxes of all recipients are full.
    #[error("the mailboxes of all recipients are full; retry after the recipients have read their messages")]
    AllMailboxesFull,
    /// The idempotency key was already used for a different send.
    #[error("Idempotency-Key was used for another send")]
    KeyReused,
    /// The caller's session has ended.
    #[error("the session has ended")]
    SessionEnded,
    /// The store has no room for more data.
    #[error("there is no room for more data")]
    StorageFull,
    /// The store failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SendMessage {
    /// Maximum number of recipients of a send.
    pub const MAX_RECIPIENTS: usize = 100;

    /// Creates the use case from its dependencies and the limits that the operator has set.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>, limits: Limits, room: Arc<Room>) -> Self {
        Self { mailboxes, clock, limits, room }
    }

    /// Stores the message for all recipients or for none (D6). When this method returns, the message survives a crash
    /// (D1). `session` is the session that authenticated the caller; `None` if a password did. Stores nothing if this
    /// session has ended.
    ///
    /// # Errors
    ///
    /// If a recipient does not exist or is listed twice, all mailboxes are full, a value is out of range, the
    /// idempotency key was used for another send, the disk has too little free space, or the store fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        session: Option<SessionId>,
        request: SendRequest,
    ) -> Result<SentMessage, SendMessageError> {
        let SendRequest { recipients, ttl_seconds, key } = request;
        if !(1..=Self::MAX_RECIPIENTS).contains(&recipients.len()) {
            return Err(SendMessageError::RecipientCount);
        }
        let mut seen = HashSet::new();
        if let Some(duplicate) = recipients.iter().find(|addressed| !seen.insert(addressed.recipient.key())) {
            return Err(SendMessageError::NamedTwice(duplicate.recipient.clone()));
        }
        let max = self.limits.ttl_seconds;
        if ttl_seconds.is_some_and(|seconds| !(1..=max).contains(&seconds)) {
            return Err(SendMessageError::Ttl { max });
        }
        if !self.room.is_left() {
            return Err(SendMessageError::StorageFull);
        }
        let parts = recipients.iter().map(|addressed| (&addressed.recipient, &addressed.contents));
        let fingerprint = key.is_some().then(|| Fingerprint::of(parts, ttl_seconds));
        let delivery = NewDelivery {
            sender: caller.username.clone(),
            sender_device: caller.device,
            session,
            recipients,
            now: self.clock.now(),
            // If `sent_at` may be too early, the message lives longer, so that it does not expire too early.
            ttl_seconds: ttl_seconds.unwrap_or(max).saturating_add(self.clock.lag_seconds()),
            quota: self.limits.mailbox,
            idempotency: key.zip(fingerprint),
        };
        match self.mailboxes.deliver(delivery).await? {
            DeliverOutcome::Stored { receipt, recipients } => Ok(SentMessage { receipt, recipients }),
            DeliverOutcome::Repeated(receipt) => Ok(SentMessage { receipt, recipients: Vec::new() }),
            DeliverOutcome::SessionEnded => Err(SendMessageError::SessionEnded),
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

    async fn send(mailboxes: MockMailboxes, request: SendRequest) -> Result<SentMessage, SendMessageError> {
        send_with(0, Arc::default(), mailboxes, request).await
    }

    /// Sends a message. The clock may be `lag_seconds` behind the right time. `room` says whether the disk has enough
    /// free space.
    async fn send_with(
        lag_seconds: u64,
        room: Arc<Room>,
        mailboxes: MockMailboxes,
        request: SendRequest,
    ) -> Result<SentMessage, SendMessageError> {
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(1));
        clock.expect_lag_seconds().returning(move || lag_seconds);
        let alice =
            Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) };
        let send = SendMessage::new(Arc::new(mailboxes), Arc::new(clock), Limits::default(), room);
        send.execute(&alice, None, request).await
    }

    async fn refused(request: SendRequest) -> SendMessageError {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().never();
        send(mailboxes, request).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_value_out_of_range_is_refused_with_its_limit() {
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
    async fn a_message_lives_longer_by_the_time_that_its_stamp_may_be_too_early() {
        let mut mailboxes = MockMailboxes::new();
        let lives = |ttl_seconds| move |delivery: &NewDelivery| delivery.ttl_seconds == ttl_seconds;
        mailboxes.expect_deliver().withf(lives(60 + 3600)).times(1).returning(|_| Ok(DeliverOutcome::AllMailboxesFull));
        let request = SendRequest { ttl_seconds: Some(60), ..to(&["bob"]) };
        let sent = send_with(3600, Arc::default(), mailboxes, request).await;
        assert!(matches!(sent, Err(SendMessageError::AllMailboxesFull)), "{sent:?}");
    }

    #[tokio::test]
    async fn nothing_is_stored_without_room() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().never();
        let refused = send_with(0, Room::none(), mailboxes, to(&["bob"])).await;
        assert!(matches!(refused, Err(SendMessageError::StorageFull)), "{refused:?}");
    }

    #[tokio::test]
    async fn a_recipient_listed_twice_is_refused_in_any_spelling() {
        let error = refused(to(&["bob", "carol", "BOB"])).await;
        assert_eq!(error.to_string(), "recipients name BOB twice");
    }

    #[tokio::test]
    async fn an_unknown_recipient_and_a_store_failure_are_different_errors() {
        let mut mailboxes = MockMailboxes::new();
        let names = vec![Username::new("unknown").unwrap()];
        mailboxes.expect_deliver().return_once(move |_| Ok(DeliverOutcome::UnknownRecipients(names)));
        let error = send(mailboxes, to(&["unknown"])).await.unwrap_err();
        assert_eq!(error.to_string(), "recipient does not exist: unknown");
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().returning(|_| Err(PortError::fault("broken")));
        let error = send(mailboxes, to(&["unknown"])).await.unwrap_err();
        assert!(matches!(error, SendMessageError::Port(PortError::Fault(_))));
    }
}
