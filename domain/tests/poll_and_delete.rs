//! Property test of reading through the classic API (the deprecated predecessor of v1): poll, then delete all messages
//! sent before the poll's `query_time`. Messages may arrive between the two steps, and the clock may be set at any
//! time. The client must receive every message at least once. If a message is older than a second when the client
//! polls, the client must receive the message exactly once.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use woosh_domain::fakes::{CountingRandomness, ManualClock, MemoryStore, PlainHasher};
use woosh_domain::model::{Contents, DeviceName, Info, Limits, MessageId, Password, PublicKey, Timestamp, Username};
use woosh_domain::ports::{AddressedContents, Clock, Receipt};
use woosh_domain::use_cases::{
    Authenticate, Caller, DeleteMessages, PollMessages, RegisterUser, Registration, SendMessage, SendRequest,
};

struct World {
    clock: Arc<ManualClock>,
    send: SendMessage,
    poll: PollMessages,
    delete: DeleteMessages,
    alice: Caller,
    bob: Caller,
}

impl World {
    async fn new() -> Self {
        let stores = MemoryStore::stores();
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_700_000_000_300_000)));
        let hasher = Arc::new(PlainHasher);
        let register = RegisterUser::new(
            stores.users.clone(),
            hasher.clone(),
            Arc::new(CountingRandomness::default()),
            clock.clone(),
        );
        let authenticate = Authenticate::new(stores.users.clone(), hasher);
        let sign_up = async |name: &str| {
            let username = Username::new(name).unwrap();
            let password = Password::new("secret".to_owned()).unwrap();
            let registration = Registration {
                username: username.clone(),
                password: password.clone(),
                public_key: PublicKey::new("key".to_owned()).unwrap(),
                private_key: None,
                info: Info::new(String::new()).unwrap(),
                device_name: DeviceName::new(String::new()).unwrap(),
                log_in: false,
            };
            register.execute(registration).await.unwrap();
            authenticate.execute(Some(&username), &password).await.unwrap()
        };
        Self {
            alice: sign_up("alice").await,
            bob: sign_up("bob").await,
            send: SendMessage::new(stores.mailboxes.clone(), clock.clone(), Limits::default()),
            poll: PollMessages::new(stores.mailboxes.clone(), clock.clone()),
            delete: DeleteMessages::new(stores.mailboxes),
            clock,
        }
    }

    async fn send(&self) -> Receipt {
        let contents = Contents::new("hello".to_owned()).unwrap();
        let recipients = vec![AddressedContents { recipient: self.alice.username.clone(), contents }];
        let request = SendRequest { recipients, ttl_seconds: None, key: None };
        self.send.execute(&self.bob, None, request).await.unwrap().receipt
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// Lets a number of microseconds pass.
    Wait(i64),
    /// Sets the clock forward or back by a number of microseconds, while no time passes.
    SetClock(i64),
    Poll,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    const DAY: i64 = 24 * 60 * 60 * 1_000_000;
    prop_oneof![
        6 => (1_usize..150).prop_map(Step::Send),
        6 => (0_i64..2_500_000).prop_map(Step::Wait),
        1 => (-700_000_i64..700_000).prop_map(Step::SetClock),
        1 => (-DAY..DAY).prop_map(Step::SetClock),
        6 => Just(Step::Poll),
        6 => Just(Step::Delete),
    ]
}

/// When a message was sent, and whether the client has received and deleted it.
struct Delivery {
    sent_at: Timestamp,
    received: bool,
    deleted: bool,
}

proptest! {
    #[test]
    fn every_message_is_received_and_only_once_if_it_was_older_than_a_second(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let world = World::new().await;
            let mut deliveries: HashMap<MessageId, Delivery> = HashMap::new();
            let mut polled = None;
            // All messages of a `Send` step are in the same second. Every other round reads the messages of at least
            // one second, even if the clock is behind the messages.
            let rounds: usize =
                steps.iter().map(|step| if let Step::Send(count) = step { count / 50 + 2 } else { 1 }).sum();
            let rounds = 2 * rounds;
            let finish = std::iter::repeat_n([Step::Wait(1_100_000), Step::Poll, Step::Delete], rounds).flatten();
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Send(count) => {
                        for _ in 0..count {
                            let message = world.send().await;
                            let delivery = Delivery { sent_at: message.sent_at, received: false, deleted: false };
                            prop_assert!(deliveries.insert(message.id, delivery).is_none());
                        }
                    }
                    Step::Wait(micros) | Step::SetClock(micros) => world.clock.advance(micros),
                    Step::Poll => {
                        let now = world.clock.now();
                        let mut poll = world.poll.execute(&world.alice).await.unwrap();
                        while let Some(rest) = poll.rest.take() {
                            let (messages, rest) = world.poll.next(&world.alice, rest).await.unwrap();
                            poll.messages.extend(messages);
                            poll.rest = rest;
                        }
                        let one_second = poll.messages.iter().all(|message| {
                            message.sent_at.seconds() == poll.messages[0].sent_at.seconds()
                        });
                        prop_assert!(poll.messages.len() <= PollMessages::LIMIT || one_second);
                        prop_assert!(poll.messages.is_sorted_by_key(|message| message.id.get()));
                        for message in &poll.messages {
                            let delivery = deliveries.get_mut(&message.id).unwrap();
                            prop_assert!(!delivery.deleted, "received again after it was deleted");
                            prop_assert_eq!(message.sent_at, delivery.sent_at);
                            delivery.received = true;
                            let old = message.sent_at.micros() <= now.micros() - 1_000_000;
                            prop_assert!(!old || message.sent_at.seconds() < poll.query_time);
                        }
                        polled = Some(poll);
                    }
                    Step::Delete => {
                        let Some(poll) = polled.take() else { continue };
                        let due = poll.messages.iter().filter(|message| message.sent_at.seconds() < poll.query_time);
                        let mut count = 0;
                        for message in due {
                            deliveries.get_mut(&message.id).unwrap().deleted = true;
                            count += 1;
                        }
                        let deleted = world.delete.execute(&world.alice, poll.query_time).await.unwrap();
                        prop_assert_eq!(deleted, count, "a message that was not in the poll was deleted");
                    }
                }
            }
            prop_assert!(deliveries.values().all(|delivery| delivery.received), "a message was never received");
            prop_assert!(deliveries.values().all(|delivery| delivery.deleted), "the mailbox is not empty in the end");
            Ok(())
        })?;
    }
}
