//! Verifies promises D2 (no loss) and D4 (idempotent send) with clocks that leap: on SQLite the clock of the machine, on
//! Postgres the clock of the database.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use woosh_adapters::database::Database;
use woosh_domain::fakes::{CountingRandomness, PlainHasher};
use woosh_domain::model::{
    Contents, DeviceName, GapReason, IdempotencyKey, Info, Limits, Password, PrivateKey, PublicKey, SequenceNumber,
    Timestamp, Username,
};
use woosh_domain::ports::{AddressedContents, LocalClock, LocalTime, MailboxPage, PageLimit, Receipt, Stores};
use woosh_domain::timekeeping::ClockChange;
use woosh_domain::use_cases::{Caller, KeepTime, RegisterUser, Registration, SendMessage, SendRequest, Sweep};
use woosh_harness::{Backend, TestDatabase};

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
        trial!(Postgres, replicas_whose_clocks_differ_by_an_hour_agree_on_the_time),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn run(test: LocalBoxFuture<'static, ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test);
    Ok(())
}

/// The clocks of a machine, which move only if a test moves them.
struct Machine(Mutex<LocalTime>);

impl LocalClock for Machine {
    fn read(&self) -> LocalTime {
        *self.0.lock().unwrap()
    }
}

impl Machine {
    fn at(seconds: i64) -> Arc<Self> {
        Self(Mutex::new(LocalTime { monotonic: Duration::ZERO, wall: Timestamp::from_seconds(seconds) })).into()
    }

    fn advance(&self, monotonic: i64, wall: i64) {
        let mut time = self.0.lock().unwrap();
        time.monotonic += Duration::from_secs(monotonic.unsigned_abs());
        time.wall = Timestamp::from_micros(time.wall.micros() + wall * 1_000_000);
    }
}

/// A running server without its API.
struct Replica {
    machine: Arc<Machine>,
    keep_time: KeepTime,
    started_with: Option<ClockChange>,
    send: SendMessage,
    sweep: Sweep,
    register: RegisterUser,
    stores: Stores,
}

impl Replica {
    async fn start(database: &Database, machine: Arc<Machine>) -> Self {
        let stores = database.stores();
        let (keep_time, started_with) = KeepTime::start(machine.clone(), stores.time.clone()).await.unwrap();
        keep_time.store_time().await.unwrap();
        let clock = keep_time.clock();
        Self {
            machine,
            started_with,
            send: SendMessage::new(stores.mailboxes.clone(), clock.clone(), Limits::default()),
            sweep: Sweep::new(stores.mailboxes.clone(), clock.clone()),
            register: RegisterUser::new(
                stores.users.clone(),
                Arc::new(PlainHasher),
                Arc::new(CountingRandomness::default()),
                clock,
            ),
            keep_time,
            stores,
        }
    }

    async fn register(&self, name: &str) -> Caller {
        let registration = Registration {
            username: Username::new(name).unwrap(),
            password: Password::new("open sesame".to_owned()).unwrap(),
            public_key: PublicKey::new("public key".to_owned()).unwrap(),
            private_key: Some(PrivateKey::new("private key".to_owned()).unwrap()),
            info: Info::new(String::new()).unwrap(),
            device_name: DeviceName::new("phone".to_owned()).unwrap(),
            log_in: false,
        };
        let account = self.register.execute(registration).await.unwrap();
        Caller { user_id: account.user.id, username: account.user.username, device: account.device.id }
    }

    /// Sends a message under a key, from a user to the same user.
    async fn send(&self, caller: &Caller, ttl: i64, key: &str) -> Receipt {
        let contents = Contents::new("hello".to_owned()).unwrap();
        let recipients = vec![AddressedContents { recipient: caller.username.clone(), contents }];
        let key = Some(IdempotencyKey::new(key).unwrap());
        let request = SendRequest { recipients, ttl_seconds: Some(ttl.unsigned_abs()), key };
        self.send.execute(caller, None, request).await.unwrap().receipt
    }

    /// Does what a server does every ten seconds.
    async fn upkeep(&self) -> Option<ClockChange> {
        let change = self.keep_time.execute().await.unwrap();
        self.sweep.execute().await.unwrap();
        self.keep_time.store_time().await.unwrap();
        change
    }

    async fn page(&self, caller: &Caller) -> MailboxPage {
        let limit = PageLimit { count: 100, bytes: usize::MAX };
        let now = self.keep_time.clock().expiry_time();
        self.stores.mailboxes.read(caller.device, SequenceNumber::ZERO, limit, now).await.unwrap()
    }

    /// Returns how many messages are in a mailbox, and how many have expired.
    async fn messages(&self, caller: &Caller) -> (usize, i64) {
        let page = self.page(caller).await;
        assert!(page.gaps.iter().all(|gap| gap.reason == GapReason::Expired));
        (page.envelopes.len(), page.gaps.iter().map(|gap| gap.last.get() - gap.first.get() + 1).sum())
    }
}

/// A database, and the clock that stamps follow.
struct World {
    database: Database,
    postgres: Option<PgConnectOptions>,
    /// The right time.
    time: i64,
    _test_database: TestDatabase,
}

impl World {
    async fn new(backend: Backend) -> Self {
        let test_database = TestDatabase::create(backend).await.unwrap();
        let postgres = test_database.postgres_options();
        if let Some(options) = &postgres {
            // A clock that the test sets takes precedence over the built-in one.
            let mut connection = PgConnection::connect_with(options).await.unwrap();
            sqlx::raw_sql(
                "CREATE TABLE public.test_clock (time timestamptz NOT NULL);
                 INSERT INTO public.test_clock VALUES (to_timestamp(1700000000));
                 CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql
                     AS 'SELECT time FROM public.test_clock';
                 DO $$ BEGIN
                     EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
                 END $$;",
            )
            .execute(&mut connection)
            .await
            .unwrap();
            connection.close().await.unwrap();
        }
        let database = Database::open(test_database.url(), Duration::ZERO).await.unwrap();
        Self { database, postgres, time: START, _test_database: test_database }
    }

    /// Returns the clocks of a machine. On Postgres, they are an hour behind, since that must not matter.
    fn machine(&self) -> Arc<Machine> {
        Machine::at(if self.postgres.is_some() { self.time - HOUR } else { self.time })
    }

    async fn start(&self) -> Replica {
        Replica::start(&self.database, self.machine()).await
    }

    /// Moves the clock that stamps follow. `passed` of these seconds do pass on the machine of the replica.
    async fn advance(&mut self, replica: &Replica, passed: i64, seconds: i64) {
        replica.machine.advance(passed, seconds);
        if let Some(options) = &self.postgres {
            let mut connection = PgConnection::connect_with(options).await.unwrap();
            sqlx::query("UPDATE public.test_clock SET time = time + make_interval(secs => $1)")
                .bind(f64::from(i32::try_from(seconds).unwrap()))
                .execute(&mut connection)
                .await
                .unwrap();
            connection.close().await.unwrap();
        }
        self.time += seconds;
    }

    /// Lets some minutes pass, in which the replica checks the clock.
    async fn pass_minutes(&mut self, replica: &Replica, minutes: i64) -> Vec<ClockChange> {
        let mut changes = Vec::new();
        for _ in 0..minutes {
            self.advance(replica, MINUTE, MINUTE).await;
            changes.extend(replica.upkeep().await);
        }
        changes
    }
}

async fn a_leap_of_a_month_expires_nothing_and_stamps_lead_by_a_day_at_most(backend: Backend) {
    let mut world = World::new(backend).await;
    let replica = world.start().await;
    let (alice, bob) = (replica.register("alice").await, replica.register("bob").await);
    let sent = replica.send(&alice, 30 * DAY, "key").await;
    assert_eq!(sent.sent_at, Timestamp::from_seconds(START));

    world.advance(&replica, 0, 31 * DAY).await;
    assert_eq!(replica.upkeep().await, Some(ClockChange::Doubted { ahead_seconds: 31 * DAY }));
    assert_eq!(replica.messages(&alice).await, (1, 0));
    assert_eq!(replica.send(&alice, 30 * DAY, "key").await, sent, "the key was forgotten");
    let ahead = replica.send(&bob, HOUR, "key").await;
    assert_eq!(ahead.sent_at, Timestamp::from_seconds(START + DAY));
    // A restart does not make the clock right.
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
