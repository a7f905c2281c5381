//! The law of the classic API's way to read: poll, then delete what is older than the poll's `query_time`. Whatever
//! arrives in between, every message comes at least once, and once only where it was older than a second.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use woosh_domain::fakes::{ManualClock, MemoryStore, PlainHasher};
use woosh_domain::model::{Contents, Info, MessageId, Password, PublicKey, Timestamp, Username};
use woosh_domain::ports::Clock;
use woosh_domain::use_cases::{
    Authenticate, Caller, DeleteMessages, PollMessages, RegisterUser, Registration, SendMessage,
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
        let register = RegisterUser::new(stores.users.clone(), hasher.clone(), clock.clone());
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
            };
            register.execute(registration).await.unwrap();
            authenticate.execute(Some(&username), &password).await.unwrap()
        };
        Self {
            alice: join("alice").await,
            bob: join("bob").await,
            send: SendMessage::new(stores.mailboxes.clone(), clock.clone()),
            poll: PollMessages::new(stores.mailboxes.clone(), clock.clone()),
            delete: DeleteMessages::new(stores.mailboxes),
            clock,
        }
    }

    async fn send(&self) -> MessageId {
        let contents = Contents::new("hello".to_owned()).unwrap();
        self.send.execute(&self.bob, self.alice.username.clone(), contents).await.unwrap().id
    }
}

#[derive(Debug, Clone)]
enum Step {
    Send(usize),
    Wait(i64),
    Poll,
    Delete,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_usize..150).prop_map(Step::Send),
        // Now and then the clock steps back.
        4 => (-700_000_i64..2_500_000).prop_map(Step::Wait),
        4 => Just(Step::Poll),
        4 => Just(Step::Delete),
    ]
}

proptest! {
    #[test]
    fn every_message_comes_at_least_once_and_once_only_where_it_was_older_than_a_second(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            let world = World::new().await;
            let mut sent = Vec::new();
            // How often each was polled before a delete followed, and whether it was older than a second then.
            let mut came: HashMap<MessageId, u32> = HashMap::new();
            let mut settled: HashMap<MessageId, bool> = HashMap::new();
            let mut query_time = None;
            let finish = std::iter::repeat_n([Step::Wait(2_000_000), Step::Poll, Step::Delete], 80).flatten();
            for step in steps.into_iter().chain(finish) {
                match step {
                    Step::Send(count) => {
                        for _ in 0..count {
                            sent.push(world.send().await);
                        }
                    }
                    Step::Wait(micros) => world.clock.advance(micros),
                    Step::Poll => {
                        let now = world.clock.now();
                        let poll = world.poll.execute(&world.alice).await.unwrap();
                        for (earlier, later) in poll.messages.iter().zip(poll.messages.iter().skip(1)) {
                            prop_assert!(earlier.sent_at <= later.sent_at);
                        }
                        let in_one_second = poll.messages.iter().all(|message| {
                            message.sent_at.seconds() == poll.messages[0].sent_at.seconds()
                        });
                        prop_assert!(poll.messages.len() <= PollMessages::LIMIT || in_one_second);
                        for message in &poll.messages {
                            *came.entry(message.id).or_default() += 1;
                            prop_assert!(settled.get(&message.id) != Some(&true), "came again after it was deleted");
                            let old = message.sent_at.micros() <= now.micros() - 1_000_000;
                            prop_assert!(!old || message.sent_at.seconds() < poll.query_time);
                            settled.insert(message.id, false);
                        }
                        query_time = Some((poll.query_time, poll.messages));
                    }
                    Step::Delete => {
                        if let Some((until, messages)) = query_time.take() {
                            let due: Vec<_> =
                                messages.iter().filter(|message| message.sent_at.seconds() < until).collect();
                            let deleted = world.delete.execute(&world.alice, until).await.unwrap();
                            prop_assert_eq!(deleted, due.len() as u64, "only what the answer held is deleted");
                            settled.extend(due.iter().map(|message| (message.id, true)));
                        }
                    }
                }
            }
            prop_assert!(sent.iter().all(|id| came.contains_key(id)), "a message never came");
            let left = world.poll.execute(&world.alice).await.unwrap();
            prop_assert_eq!(left.messages.len(), 0, "the loop ends with an empty mailbox");
            Ok(())
        })?;
    }
}
