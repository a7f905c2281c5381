//! Databases, machines and replicas whose clocks a test sets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

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
use woosh_domain::use_cases::{
    Caller, ForgetKeys, KeepTime, RegisterUser, Registration, SendMessage, SendRequest, Sweep,
};
use woosh_harness::{Backend, TestDatabase};

use crate::{HOUR, MINUTE, START};

/// The clocks of a machine, which move only if a test moves them.
pub(crate) struct Machine(Mutex<LocalTime>);

impl LocalClock for Machine {
    fn read(&self) -> LocalTime {
        *self.0.lock().unwrap()
    }
}

impl Machine {
    pub(crate) fn at(seconds: i64) -> Arc<Self> {
        Self(Mutex::new(LocalTime { monotonic: Duration::ZERO, wall: Timestamp::from_seconds(seconds) })).into()
    }

    pub(crate) fn advance(&self, monotonic: i64, wall: i64) {
        let mut time = self.0.lock().unwrap();
        time.monotonic += Duration::from_secs(monotonic.unsigned_abs());
        time.wall = Timestamp::from_micros(time.wall.micros() + wall * 1_000_000);
    }
}

/// A server without its HTTP API: its use cases, which read the time from the clocks of a [`Machine`].
pub(crate) struct Replica {
    machine: Arc<Machine>,
    keep_time: KeepTime,
    pub(crate) started_with: Option<ClockChange>,
    send: SendMessage,
    sweep: Sweep,
    forget_keys: ForgetKeys,
    register: RegisterUser,
    stores: Stores,
}

impl Replica {
    pub(crate) async fn start(database: &Database, machine: Arc<Machine>) -> Self {
        let stores = database.stores();
        let (keep_time, started_with) = KeepTime::start(machine.clone(), stores.time.clone()).await.unwrap();
        keep_time.store_time().await.unwrap();
        let clock = keep_time.clock();
        Self {
            machine,
            started_with,
            send: SendMessage::new(stores.mailboxes.clone(), clock.clone(), Limits::default(), Arc::default()),
            sweep: Sweep::new(stores.mailboxes.clone(), stores.stream_tickets.clone(), clock.clone()),
            forget_keys: ForgetKeys::new(stores.mailboxes.clone(), keep_time.local_clock()),
            register: RegisterUser::new(
                stores.users.clone(),
                Arc::new(PlainHasher),
                Arc::new(CountingRandomness::default()),
                clock,
                Arc::default(),
            ),
            keep_time,
            stores,
        }
    }

    /// Moves the monotonic clock of the machine by `monotonic` seconds, and its wall clock by `wall` seconds.
    pub(crate) fn pass(&self, monotonic: i64, wall: i64) {
        self.machine.advance(monotonic, wall);
    }

    pub(crate) async fn register(&self, name: &str) -> Caller {
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

    /// Sends a message from a user to the same user, with the idempotency key `key`.
    pub(crate) async fn send(&self, caller: &Caller, ttl: i64, key: &str) -> Receipt {
        let contents = Contents::new("hello".to_owned()).unwrap();
        let recipients = vec![AddressedContents { recipient: caller.username.clone(), contents }];
        let key = Some(IdempotencyKey::new(key).unwrap());
        let request = SendRequest { recipients, ttl_seconds: Some(ttl.unsigned_abs()), key };
        self.send.execute(caller, None, request).await.unwrap().receipt
    }

    /// Does what a server does every ten seconds: checks the clock, deletes expired messages and old idempotency
    /// keys, and stores the time. Returns a change if the time is in doubt since this call, or is no longer in doubt.
    pub(crate) async fn upkeep(&self) -> Option<ClockChange> {
        let change = self.keep_time.execute().await.unwrap();
        self.sweep.execute().await.unwrap();
        self.forget_keys.execute().await.unwrap();
        self.keep_time.store_time().await.unwrap();
        change
    }

    async fn page(&self, caller: &Caller) -> MailboxPage {
        let limit = PageLimit { count: 100, bytes: usize::MAX };
        let now = self.keep_time.clock().expiry_time();
        self.stores.mailboxes.read(caller.device, SequenceNumber::ZERO, limit, now).await.unwrap().unwrap()
    }

    /// Returns how many messages the caller can read from its mailbox, and how many others have expired unread there.
    pub(crate) async fn messages(&self, caller: &Caller) -> (usize, i64) {
        let page = self.page(caller).await;
        assert!(page.gaps.iter().all(|gap| gap.reason == GapReason::Expired));
        (page.envelopes.len(), page.gaps.iter().map(|gap| gap.last.get() - gap.first.get() + 1).sum())
    }
}

/// A database, and the clock from which messages get their `sent_at`.
pub(crate) struct World {
    pub(crate) database: Database,
    postgres: Option<PgConnectOptions>,
    /// The current time of the clock from which messages get their `sent_at`, as a Unix second.
    pub(crate) time: i64,
    pub(crate) test_database: Arc<TestDatabase>,
}

impl World {
    pub(crate) async fn new(backend: Backend) -> Self {
        let test_database = TestDatabase::create(backend).await.unwrap();
        let postgres = test_database.postgres_options();
        if let Some(options) = &postgres {
            // Replaces the built-in `clock_timestamp()` by a clock that the test sets: `search_path` lists its schema
            // first.
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
        Self { database, postgres, time: START, test_database: test_database.into() }
    }

    /// Returns the clocks of a new machine. On Postgres, the wall clock of the machine is an hour behind the clock of
    /// the database. So the tests notice if a server uses the wall clock in place of the clock of the database.
    fn machine(&self) -> Arc<Machine> {
        Machine::at(if self.postgres.is_some() { self.time - HOUR } else { self.time })
    }

    pub(crate) async fn start(&self) -> Replica {
        Replica::start(&self.database, self.machine()).await
    }

    /// Moves the wall clock of the replica's machine and the clock of the database by `seconds`. Moves the monotonic
    /// clock of the machine by `passed` seconds.
    pub(crate) async fn advance(&mut self, replica: &Replica, passed: i64, seconds: i64) {
        replica.machine.advance(passed, seconds);
        self.advance_database(seconds).await;
    }

    /// Adds `seconds` to [`Self::time`]. If the database is on Postgres, also moves its clock by `seconds`.
    pub(crate) async fn advance_database(&mut self, seconds: i64) {
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

    /// Lets `minutes` pass, and calls [`Replica::upkeep`] after each minute. Returns the changes that these calls
    /// returned.
    pub(crate) async fn pass_minutes(&mut self, replica: &Replica, minutes: i64) -> Vec<ClockChange> {
        let mut changes = Vec::new();
        for _ in 0..minutes {
            self.advance(replica, MINUTE, MINUTE).await;
            changes.extend(replica.upkeep().await);
        }
        changes
    }
}
