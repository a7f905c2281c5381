//! Verifies promises D2 (no loss) and D4 (idempotent send) of the delivery contract with clocks that leap: on SQLite
//! the clock of the machine, on Postgres the clock of the database.
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed};
use serde_json::{Value, json};
use woosh_domain::model::Timestamp;
use woosh_domain::timekeeping::ClockChange;
use woosh_harness::{Backend, TestServer, client};

use world::{Machine, Replica, World};

type Test = fn(Backend) -> LocalBoxFuture<'static, ()>;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const START: i64 = 1_700_000_000;

macro_rules! trial {
    ($backend:ident, $test:ident) => {{
        let test: Test = |backend| Box::pin($test(backend));
        let group = Backend::$backend.to_string();
        support::trial(&group, Backend::$backend, stringify!($test), move || run(test(Backend::$backend)))
    }};
}

fn main() {
    let trials = vec![
        trial!(Sqlite, a_leap_of_a_month_expires_nothing_and_stamps_lead_by_a_day_at_most),
        trial!(Postgres, a_leap_of_a_month_expires_nothing_and_stamps_lead_by_a_day_at_most),
        trial!(Sqlite, after_a_month_off_what_is_due_expires_within_minutes),
        trial!(Postgres, after_a_month_off_what_is_due_expires_within_minutes),
        trial!(Sqlite, a_message_sent_right_after_a_suspension_lives_as_long_as_it_should),
        trial!(Postgres, a_message_sent_right_after_a_suspension_lives_as_long_as_it_should),
        trial!(Sqlite, a_message_sent_after_a_start_with_a_clock_that_is_behind_does_not_expire_early),
        trial!(Postgres, a_message_sent_after_a_start_with_a_clock_that_is_behind_does_not_expire_early),
        trial!(Sqlite, a_key_is_remembered_for_a_day_even_if_its_stamp_is_early),
        trial!(Postgres, a_key_is_remembered_for_a_day_even_if_its_stamp_is_early),
        trial!(Postgres, replicas_whose_clocks_differ_by_an_hour_agree_on_the_time),
        trial!(Postgres, a_server_follows_the_clock_of_its_database_but_not_its_leaps),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(test: LocalBoxFuture<'static, ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test);
    Ok(())
}

async fn a_leap_of_a_month_expires_nothing_and_stamps_lead_by_a_day_at_most(backend: Backend) {
    let mut world = World::new(backend).await;
    let replica = world.start().await;
    let (alice, bob) = (replica.register("alice").await, replica.register("bob").await);
    let sent = replica.send(&alice, 12 * HOUR, "key").await;
    assert_eq!(sent.sent_at, Timestamp::from_seconds(START));

    world.advance(&replica, 0, 31 * DAY).await;
    assert_eq!(replica.upkeep().await, Some(ClockChange::Doubted { ahead_seconds: 31 * DAY }));
    assert_eq!(replica.messages(&alice).await, (1, 0));
    assert_eq!(replica.send(&alice, 12 * HOUR, "key").await, sent, "the key was forgotten");
    let ahead = replica.send(&bob, HOUR, "key").await;
    assert_eq!(ahead.sent_at, Timestamp::from_seconds(START + DAY));
    // A server that starts now does not trust the clock, either.
    let restarted = world.start().await;
    assert_eq!(restarted.started_with, Some(ClockChange::Doubted { ahead_seconds: 31 * DAY }));
    restarted.upkeep().await;
    assert_eq!(restarted.messages(&alice).await, (1, 0));

    world.advance(&replica, 10, 10 - 31 * DAY).await;
    assert_eq!(replica.upkeep().await, Some(ClockChange::Recovered));
    assert_eq!(replica.messages(&alice).await, (1, 0));
    assert_eq!(replica.send(&alice, HOUR, "another-key").await.sent_at, Timestamp::from_seconds(START + 10));
    assert_eq!(replica.send(&bob, HOUR, "another-key").await.sent_at, ahead.sent_at, "sent_at decreased");
    assert_eq!(world.pass_minutes(&replica, 61).await, []);
    assert_eq!(replica.messages(&alice).await, (1, 1));
    world.database.close().await;
}

async fn after_a_month_off_what_is_due_expires_within_minutes(backend: Backend) {
    let mut world = World::new(backend).await;
    let replica = world.start().await;
    let alice = replica.register("alice").await;
    replica.send(&alice, 30 * DAY, "one").await;

    world.advance(&replica, 0, 31 * DAY).await;
    let replica = world.start().await;
    replica.upkeep().await;
    assert_eq!(replica.messages(&alice).await, (1, 0));
    let early = replica.send(&alice, HOUR, "two").await;
    assert_eq!(world.pass_minutes(&replica, 15).await, [ClockChange::Confirmed]);
    assert_eq!(replica.messages(&alice).await, (1, 1));
    world.pass_minutes(&replica, 40).await;
    assert_eq!(replica.messages(&alice).await, (1, 1), "a message expired before its time");
    assert_eq!(replica.send(&alice, HOUR, "two").await, early, "a key of an early stamp was forgotten");
    world.pass_minutes(&replica, 6).await;
    assert_eq!(replica.messages(&alice).await, (0, 2));
    world.database.close().await;
}

async fn a_message_sent_right_after_a_suspension_lives_as_long_as_it_should(backend: Backend) {
    let mut world = World::new(backend).await;
    let replica = world.start().await;
    let alice = replica.register("alice").await;
    replica.send(&alice, HOUR, "one").await;

    world.advance(&replica, 0, 8 * HOUR).await;
    replica.send(&alice, HOUR, "two").await;
    assert_eq!(world.pass_minutes(&replica, 16).await.last(), Some(&ClockChange::Confirmed));
    assert_eq!(replica.messages(&alice).await, (1, 1));
    world.pass_minutes(&replica, 43).await;
    assert_eq!(replica.messages(&alice).await, (1, 1), "a message expired before its time");
    world.pass_minutes(&replica, 2).await;
    assert_eq!(replica.messages(&alice).await, (0, 2));
    world.database.close().await;
}

async fn a_message_sent_after_a_start_with_a_clock_that_is_behind_does_not_expire_early(backend: Backend) {
    let mut world = World::new(backend).await;
    let alice = world.start().await.register("alice").await;

    world.advance_database(8 * HOUR - 10 * DAY).await;
    let replica = world.start().await;
    assert_eq!(replica.started_with, Some(ClockChange::Doubted { ahead_seconds: 8 * HOUR - 10 * DAY }));
    let sent = replica.send(&alice, HOUR, "key").await;
    assert_eq!(sent.sent_at, Timestamp::from_seconds(START), "the stamp is not early");
    world.advance(&replica, 0, 10 * DAY).await;
    assert_eq!(world.pass_minutes(&replica, 16).await, [ClockChange::Confirmed]);
    assert_eq!(replica.messages(&alice).await, (1, 0), "a message expired before its time");
    world.database.close().await;
}

/// Verifies promise D4 (idempotent send) for two servers. The first one stores a send with a key and a `sent_at` that
/// is three days early, because its machine was suspended. The second one knows the right time, but must not forget the
/// key within a day.
async fn a_key_is_remembered_for_a_day_even_if_its_stamp_is_early(backend: Backend) {
    let mut world = World::new(backend).await;
    let (suspended, other) = (world.start().await, world.start().await);
    let alice = suspended.register("alice").await;
    other.pass(3 * DAY, 3 * DAY);
    world.advance(&suspended, 0, 3 * DAY).await;
    let sent = suspended.send(&alice, HOUR, "key").await;
    assert_eq!(sent.sent_at, Timestamp::from_seconds(START), "the stamp is not early");
    let mut pass = async |hours| {
        for _ in 0..6 * hours {
            world.advance(&other, 10 * MINUTE, 10 * MINUTE).await;
            other.upkeep().await;
        }
    };
    pass(24).await;
    assert_eq!(other.send(&alice, HOUR, "key").await, sent, "the key was forgotten within a day");
    pass(8).await;
    assert_ne!(other.send(&alice, HOUR, "key").await, sent, "the key is remembered forever");
    world.database.close().await;
}

async fn replicas_whose_clocks_differ_by_an_hour_agree_on_the_time(backend: Backend) {
    let mut world = World::new(backend).await;
    let ahead = Replica::start(&world.database, Machine::at(world.time + HOUR)).await;
    let behind = Replica::start(&world.database, Machine::at(world.time - HOUR)).await;
    let alice = ahead.register("alice").await;
    let first = behind.send(&alice, HOUR / 2, "one").await;
    for replica in [&behind, &ahead] {
        assert_eq!((replica.started_with, replica.upkeep().await), (None, None));
        assert_eq!(replica.messages(&alice).await, (1, 0));
    }
    let second = ahead.send(&alice, HOUR / 2, "two").await;
    assert_eq!((first.sent_at, second.sent_at), (Timestamp::from_seconds(START), Timestamp::from_seconds(START)));
    world.pass_minutes(&behind, 31).await;
    assert_eq!(behind.messages(&alice).await, (0, 2));
    world.database.close().await;
}

async fn a_server_follows_the_clock_of_its_database_but_not_its_leaps(backend: Backend) {
    let mut world = World::new(backend).await;
    let server = TestServer::start_on(world.test_database.clone(), 0).await.unwrap();
    let http = client::http(Duration::from_secs(30)).unwrap();
    let user = json!({ "username": "alice", "password": "open sesame", "public_key": "" });
    let request = http.post(format!("{}/v1/users", server.url())).json(&user);
    let alice: Value = request.send().await.unwrap().json().await.unwrap();
    let token = alice["token"].as_str().unwrap();
    let send = async || {
        let body = json!({ "recipients": [{ "username": "alice", "contents": "hello" }] });
        let request = http.post(format!("{}/v1/messages", server.url())).bearer_auth(token).json(&body);
        let sent: Value = request.send().await.unwrap().json().await.unwrap();
        sent["sent_at"].as_str().unwrap()[..10].to_owned()
    };
    assert_eq!(send().await, "2023-11-14");
    world.advance_database(31 * DAY).await;
    let start = Instant::now();
    let mut sent = 1;
    // The server checks the clock every ten seconds.
    loop {
        sent += 1;
        match send().await.as_str() {
            "2023-11-14" if start.elapsed() < Duration::from_secs(60) => {}
            day => {
                break assert_eq!(day, "2023-11-15", "a stamp leads by more than a day, or the leap was not noticed");
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let request = http.get(format!("{}/v1/mailbox", server.url())).bearer_auth(token);
    let page: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((page["messages"].as_array().unwrap().len(), &page["gaps"]), (sent, &json!([])));
    world.database.close().await;
}
