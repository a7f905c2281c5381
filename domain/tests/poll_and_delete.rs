//! The law of the classic API's way to read: poll, then delete what is older than the poll's `query_time`. Whatever
//! arrives in between, and however the clock is set, every message comes at least once, and once only where it was older than a second.
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
        let join = async |name: &str| {
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
            alice: join("alice").await,
            bob: join("bob").await,
            send: SendMessage::new(stores.mailboxes.clone(), clock.clone(), Limits::default()),
            poll: PollMessages::new(stores.mailboxes.clone(), clock.clone()),
            delete: DeleteMessages::new(stores.mailboxes),
            clock,
        }
    }

    async fn send(&self) -> Receipt {
        let contents = Contents::new("hello".to_owned()).unwrap();
        let recipients = vec![AddressedContents { recipient: self.alice.username.clone(), contents }];
        let outgoing = SendRequest { recipients, ttl_seconds: None, key: None };
        self.send.execute(&self.bob, outgoing).await.unwrap().receipt
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    /// Time passes, in microseconds.
    Wait(i64),
    /// The clock is set forward or back, while no time passes.
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

/// What a client and a server have been through with a message.
struct Fate {
    sent_at: Timestamp,
    came: bool,
    deleted: bool,
}

proptest! {
    #[test]
    fn every_message_comes_at_least_once_and_once_only_where_it_was_older_than_a_second(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let world = World::new().await;
            let mut fates: HashMap<MessageId, Fate> = HashMap::new();
            let mut polled = None;
            // Each round takes a second's worth at least, and a second holds what one `Send` or more have sent.
            let rounds = steps.iter().map(|step| if let Step::Send(count) = step { count / 50 + 2 } else { 1 }).sum();
            let finish = std::iter::repeat_n([Step::Wait(1_100_000), Step::Poll, Step::Delete], rounds).flatten();
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Send(count) => {
                        for _ in 0..count {
                            let message = world.send().await;
                            let fate = Fate { sent_at: message.sent_at, came: false, deleted: false };
                            prop_assert!(fates.insert(message.id, fate).is_none());
                        }
                    }
                    Step::Wait(micros) | Step::SetClock(micros) => world.clock.advance(micros),
                    Step::Poll => {
                        let now = world.clock.now();
                        let poll = world.poll.execute(&world.alice).await.unwrap();
                        let one_second = poll.messages.iter().all(|message| {
                            message.sent_at.seconds() == poll.messages[0].sent_at.seconds()
                        });
                        prop_assert!(poll.messages.len() <= PollMessages::LIMIT || one_second);
                        prop_assert!(poll.messages.is_sorted_by_key(|message| message.id.get()));
                        for message in &poll.messages {
                            let fate = fates.get_mut(&message.id).unwrap();
                            prop_assert!(!fate.deleted, "came again after it was deleted");
                            prop_assert_eq!(message.sent_at, fate.sent_at);
                            fate.came = true;
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
                            fates.get_mut(&message.id).unwrap().deleted = true;
                            count += 1;
                        }
                        let deleted = world.delete.execute(&world.alice, poll.query_time).await.unwrap();
                        prop_assert_eq!(deleted, count, "what the answer did not hold was deleted");
                    }
                }
            }
            prop_assert!(fates.values().all(|fate| fate.came), "a message never came");
            prop_assert!(fates.values().all(|fate| fate.deleted), "the loop does not end with an empty mailbox");
            Ok(())
        })?;
    }
}
