use std::sync::Arc;

use super::Caller;
use crate::model::{Contents, Message, Username};
use crate::ports::{Clock, Mailboxes, NewMessage, PortError};

/// Sends a message to a user.
pub struct SendMessage {
    mailboxes: Arc<dyn Mailboxes>,
    clock: Arc<dyn Clock>,
}

/// Why nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum SendMessageError {
    /// The recipient is the sender.
    #[error("recipient is yourself")]
    ToOneself,
    /// Nobody has that name.
    #[error("recipient does not exist")]
    NoSuchRecipient,
    /// The port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl SendMessage {
    /// Works on these ports.
    pub fn new(mailboxes: Arc<dyn Mailboxes>, clock: Arc<dyn Clock>) -> Self {
        Self { mailboxes, clock }
    }

    /// Sends a message; once this returns, it survives a crash (D1).
    ///
    /// # Errors
    ///
    /// Where the recipient is the sender or does not exist, or the port fails.
    pub async fn execute(
        &self,
        caller: &Caller,
        recipient: Username,
        contents: Contents,
    ) -> Result<Message, SendMessageError> {
        if recipient.is_same_as(&caller.username) {
            return Err(SendMessageError::ToOneself);
        }
        let message = NewMessage { sender: caller.username.clone(), recipient, contents, now: self.clock.now() };
        self.mailboxes.deliver(message).await?.ok_or(SendMessageError::NoSuchRecipient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, Timestamp, UserId};
    use crate::ports::{MockClock, MockMailboxes};

    fn alice() -> Caller {
        Caller { user_id: UserId::new(1), username: Username::new("alice").unwrap(), device: DeviceId::new(1) }
    }

    async fn send(mailboxes: MockMailboxes, recipient: &str) -> Result<Message, SendMessageError> {
        let mut clock = MockClock::new();
        clock.expect_now().returning(|| Timestamp::from_seconds(1));
        let contents = Contents::new("hello".to_owned()).unwrap();
        let send = SendMessage::new(Arc::new(mailboxes), Arc::new(clock));
        send.execute(&alice(), Username::new(recipient).unwrap(), contents).await
    }

    #[tokio::test]
    async fn nothing_is_sent_to_oneself_in_any_spelling() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().never();
        assert!(matches!(send(mailboxes, "ALICE").await, Err(SendMessageError::ToOneself)));
    }

    #[tokio::test]
    async fn a_recipient_that_is_not_there_is_told_from_a_store_that_fails() {
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().returning(|_| Ok(None));
        assert!(matches!(send(mailboxes, "nobody").await, Err(SendMessageError::NoSuchRecipient)));
        let mut mailboxes = MockMailboxes::new();
        mailboxes.expect_deliver().returning(|_| Err(PortError::fault("broken")));
        assert!(matches!(send(mailboxes, "nobody").await, Err(SendMessageError::Port(PortError::Fault(_)))));
    }
}
