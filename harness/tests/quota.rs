//! Verifies promise D7 (visible loss) of the delivery contract and the limits that the operator sets. The servers have
//! small quotas, a short maximum time until a message expires, or a disabled search for users.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use libtest_mimic::{Arguments, Failed};
use reqwest::Client;
use serde_json::{Value, json};
use woosh_harness::{Backend, TestDatabase, TestServer};
use woosh_server::server::{Limits, Quota};

type Test = fn(Backend) -> BoxFuture<'static, ()>;

/// Takes the names of test functions, which take a backend. Returns an array of pairs: the name of a function, and the
/// function.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        [$((stringify!($test), (|backend| Box::pin($test(backend))) as Test)),+]
    };
}

fn main() {
    let tests = tests![
        a_full_mailbox_is_an_error_for_the_sender_and_a_gap_for_the_reader,
        acknowledging_frees_quota_and_clears_gaps,
        a_full_device_does_not_affect_other_devices,
        a_full_recipient_does_not_affect_other_recipients,
        a_mailbox_is_full_at_its_byte_limit,
        a_send_that_no_mailbox_accepts_does_not_use_its_idempotency_key,
        a_retry_of_a_partly_undelivered_send_returns_the_first_response,
        a_full_mailbox_is_an_error_for_a_classic_sender,
        search_is_refused_if_it_is_disabled,
        a_message_expires_no_later_than_the_server_maximum,
    ];
    let trials =
        [("sqlite", Backend::Sqlite), ("postgres", Backend::Postgres)].into_iter().flat_map(|(group, backend)| {
            tests.map(|(name, test)| support::trial(group, backend, name, move || run(test(backend))))
        });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

fn run(test: BoxFuture<'static, ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test);
    Ok(())
}

/// Returns limits with a maximum number of messages for each mailbox.
fn max_messages(messages: u64) -> Limits {
    Limits { mailbox: Quota { messages, ..Limits::default().mailbox }, ..Limits::default() }
}

/// Returns limits with a maximum number of bytes for each mailbox.
fn max_bytes(bytes: u64) -> Limits {
    Limits { mailbox: Quota { bytes, ..Limits::default().mailbox }, ..Limits::default() }
}

/// A fresh server, and a client.
struct Fixture {
    client: Client,
    server: TestServer,
}

/// A device that is logged in.
struct Device {
    name: &'static str,
    id: Value,
    token: String,
}

impl Fixture {
    async fn start(backend: Backend, limits: Limits) -> Self {
        let database = Arc::new(TestDatabase::create(backend).await.unwrap());
        let server = TestServer::start_with(database, 0, limits).await.unwrap();
        Self { client: Client::builder().no_proxy().build().unwrap(), server }
    }

    /// Registers alice and bob.
    async fn register_users(&self) -> (Device, Device) {
        (self.sign_in("users", "alice").await, self.sign_in("users", "bob").await)
    }

    /// Registers a user if `path` is `users`, or logs in if `path` is `sessions`.
    async fn sign_in(&self, path: &str, name: &'static str) -> Device {
        let body = json!({ "username": name, "password": "secret", "public_key": "" });
        let request = self.client.post(format!("{}/v1/{path}", self.server.url())).json(&body);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        let token = answer["token"].as_str().unwrap().to_owned();
        Device { name, id: answer["device"]["id"].clone(), token }
    }

    async fn get(&self, device: &Device, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}/v1/{path}", self.server.url())).bearer_auth(&device.token);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn send(&self, sender: &Device, key: Option<&str>, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/v1/messages", self.server.url())).bearer_auth(&sender.token);
        let request = key.into_iter().fold(request, |request, key| request.header("idempotency-key", key));
        let answer = request.json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Sends a message. Returns the status.
    async fn send_text(&self, sender: &Device, to: &Device, contents: &str) -> u16 {
        self.send(sender, None, &message(&[to], contents)).await.0
    }

    async fn acknowledge(&self, device: &Device, up_to: i64) {
        let request = self.client.post(format!("{}/v1/mailbox/ack", self.server.url())).bearer_auth(&device.token);
        let answer = request.json(&json!({ "up_to": up_to })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Reads a mailbox. Returns the sequence numbers and contents of its messages, and its gaps.
    async fn mailbox(&self, device: &Device) -> (Vec<(i64, String)>, Value) {
        let (status, page) = self.get(device, "mailbox").await;
        assert_eq!(status, 200, "{page}");
        let messages = page["messages"].as_array().unwrap().iter();
        let messages = messages
            .map(|message| (message["sequence"].as_i64().unwrap(), message["contents"].as_str().unwrap().to_owned()));
        (messages.collect(), page["gaps"].clone())
    }
}

fn message(to: &[&Device], contents: &str) -> Value {
    let recipients = to.iter().map(|to| json!({ "username": to.name, "contents": contents }));
    json!({ "recipients": recipients.collect::<Vec<_>>() })
}

fn texts(texts: &[(i64, &str)]) -> Vec<(i64, String)> {
    texts.iter().map(|(sequence, text)| (*sequence, (*text).to_owned())).collect()
}

/// Returns the expected gaps of a page if the messages `first` to `last` were not stored because the mailbox was full.
fn full_gap(first: i64, last: i64) -> Value {
    json!([{ "first": first, "last": last, "reason": "mailbox_full" }])
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn a_full_mailbox_is_an_error_for_the_sender_and_a_gap_for_the_reader(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(2)).await;
    let (alice, bob) = fixture.register_users().await;
    assert_eq!(fixture.send_text(&alice, &bob, "one").await, 201);
    assert_eq!(fixture.send_text(&alice, &bob, "two").await, 201);
    for last in [3, 4] {
        let (status, problem) = fixture.send(&alice, None, &message(&[&bob], "lost")).await;
        assert_eq!((status, &problem["code"], &problem["status"]), (507, &json!("mailbox_full"), &json!(507)));
        assert_eq!(fixture.mailbox(&bob).await, (texts(&[(1, "one"), (2, "two")]), full_gap(3, last)));
    }
    // Another mailbox is not affected.
    assert_eq!(fixture.send_text(&bob, &alice, "back").await, 201);
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn acknowledging_frees_quota_and_clears_gaps(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(2)).await;
    let (alice, bob) = fixture.register_users().await;
    for (text, status) in [("one", 201), ("two", 201), ("lost", 507)] {
        assert_eq!(fixture.send_text(&alice, &bob, text).await, status);
    }
    fixture.acknowledge(&bob, 1).await;
    assert_eq!(fixture.send_text(&alice, &bob, "four").await, 201);
    assert_eq!(fixture.send_text(&alice, &bob, "lost").await, 507);
    let gap = |number| full_gap(number, number)[0].clone();
    let messages = texts(&[(2, "two"), (4, "four")]);
    assert_eq!(fixture.mailbox(&bob).await, (messages, json!([gap(3), gap(5)])));
    fixture.acknowledge(&bob, 3).await;
    assert_eq!(fixture.mailbox(&bob).await, (texts(&[(4, "four")]), json!([gap(5)])));
    fixture.acknowledge(&bob, 5).await;
    assert_eq!(fixture.mailbox(&bob).await, (vec![], json!([])));
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn a_full_device_does_not_affect_other_devices(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(1)).await;
    let (alice, bob) = fixture.register_users().await;
    let laptop = fixture.sign_in("sessions", "bob").await;
    assert_eq!(fixture.send_text(&alice, &bob, "one").await, 201);
    fixture.acknowledge(&laptop, 1).await;
    let (status, receipt) = fixture.send(&alice, None, &message(&[&bob], "two")).await;
    assert_eq!(status, 201, "{receipt}");
    let undelivered = json!([{ "username": "bob", "device_id": bob.id, "reason": "mailbox_full" }]);
    assert_eq!(receipt["undelivered"], undelivered);
    assert_eq!(fixture.mailbox(&laptop).await, (texts(&[(2, "two")]), json!([])));
    assert_eq!(fixture.mailbox(&bob).await, (texts(&[(1, "one")]), full_gap(2, 2)));
    // Now both mailboxes are full.
    assert_eq!(fixture.send_text(&alice, &bob, "lost").await, 507);
    assert_eq!(fixture.mailbox(&laptop).await, (texts(&[(2, "two")]), full_gap(3, 3)));
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn a_full_recipient_does_not_affect_other_recipients(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(1)).await;
    let (alice, bob) = fixture.register_users().await;
    assert_eq!(fixture.send_text(&alice, &bob, "one").await, 201);
    let (status, receipt) = fixture.send(&bob, None, &message(&[&bob, &alice], "two")).await;
    assert_eq!(status, 201, "{receipt}");
    let undelivered = json!([{ "username": "bob", "device_id": bob.id, "reason": "mailbox_full" }]);
    assert_eq!(receipt["undelivered"], undelivered);
    assert_eq!(fixture.mailbox(&alice).await, (texts(&[(1, "two")]), json!([])));
    assert_eq!(fixture.mailbox(&bob).await, (texts(&[(1, "one")]), full_gap(2, 2)));
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn a_mailbox_is_full_at_its_byte_limit(backend: Backend) {
    let fixture = Fixture::start(backend, max_bytes(100)).await;
    let (alice, bob) = fixture.register_users().await;
    let (sixty, forty, forty_two) = ("x".repeat(60), "é".repeat(20), "é".repeat(21));
    for (text, status) in [(&sixty, 201), (&forty_two, 507), (&forty, 201), (&"x".to_owned(), 507)] {
        assert_eq!(fixture.send_text(&alice, &bob, text).await, status, "{text}");
    }
    fixture.acknowledge(&bob, 1).await;
    assert_eq!(fixture.send_text(&alice, &bob, &"x".repeat(61)).await, 507);
    assert_eq!(fixture.send_text(&alice, &bob, &sixty).await, 201);
    let (messages, _) = fixture.mailbox(&bob).await;
    assert_eq!(messages, texts(&[(3, &forty), (6, &sixty)]));
}

/// Verifies promises D4 (idempotent send) and D7 (visible loss) of the delivery contract.
async fn a_send_that_no_mailbox_accepts_does_not_use_its_idempotency_key(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(1)).await;
    let (alice, bob) = fixture.register_users().await;
    assert_eq!(fixture.send_text(&alice, &bob, "one").await, 201);
    let body = message(&[&bob], "again");
    for _ in 0..2 {
        assert_eq!(fixture.send(&alice, Some("key"), &body).await.0, 507);
    }
    fixture.acknowledge(&bob, 1).await;
    let sent = fixture.send(&alice, Some("key"), &body).await;
    assert_eq!(sent.0, 201, "{}", sent.1);
    assert_eq!(fixture.send(&alice, Some("key"), &body).await, sent);
    assert_eq!(fixture.mailbox(&bob).await, (texts(&[(4, "again")]), full_gap(2, 3)));
}

/// Verifies promises D4 (idempotent send) and D7 (visible loss) of the delivery contract.
async fn a_retry_of_a_partly_undelivered_send_returns_the_first_response(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(1)).await;
    let (alice, bob) = fixture.register_users().await;
    assert_eq!(fixture.send_text(&alice, &bob, "one").await, 201);
    let body = message(&[&bob, &alice], "two");
    let sent = fixture.send(&alice, Some("key"), &body).await;
    assert_eq!((sent.0, sent.1["undelivered"].as_array().map(Vec::len)), (201, Some(1)));
    // The retry returns the first response, even though the mailbox has space again.
    fixture.acknowledge(&bob, 1).await;
    assert_eq!(fixture.send(&alice, Some("key"), &body).await, sent);
    assert_eq!(fixture.mailbox(&bob).await, (vec![], full_gap(2, 2)));
    assert_eq!(fixture.mailbox(&alice).await, (texts(&[(1, "two")]), json!([])));
}

/// Verifies promise D7 (visible loss) of the delivery contract.
async fn a_full_mailbox_is_an_error_for_a_classic_sender(backend: Backend) {
    let fixture = Fixture::start(backend, max_messages(1)).await;
    let (_, bob) = fixture.register_users().await;
    for status in [201, 507] {
        let request = fixture.client.post(format!("{}/messages", fixture.server.url()));
        let request = request.header("x-user-name", "alice").header("x-user-token", "secret");
        let answer = request.json(&json!({ "recipient": "bob", "contents": "foo" })).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(fixture.mailbox(&bob).await, (texts(&[(1, "foo")]), full_gap(2, 2)));
}

async fn search_is_refused_if_it_is_disabled(backend: Backend) {
    let fixture = Fixture::start(backend, Limits { search: false, ..Limits::default() }).await;
    let (alice, _) = fixture.register_users().await;
    for query in ["prefix=bob", "prefix=nobody", "prefix=bob&limit=1"] {
        let (status, problem) = fixture.get(&alice, &format!("users?{query}")).await;
        assert_eq!((status, &problem["code"]), (403, &json!("search_off")));
    }
    // A lookup by the full username still works.
    assert_eq!(fixture.get(&alice, "users/bob").await.0, 200);
}

async fn a_message_expires_no_later_than_the_server_maximum(backend: Backend) {
    let fixture = Fixture::start(backend, Limits { ttl_seconds: 60, ..Limits::default() }).await;
    let (alice, bob) = fixture.register_users().await;
    let mut body = message(&[&bob], "foo");
    for (seconds, expected) in [(Value::Null, 201), (json!(60), 201), (json!(61), 400), (json!(2_592_000), 400)] {
        body["ttl_seconds"] = seconds;
        let (status, answer) = fixture.send(&alice, None, &body).await;
        assert_eq!(status, expected, "{answer}");
        if status == 400 {
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("ttl_seconds") && detail.contains("60"), "{detail}");
        }
    }
    let (_, page) = fixture.get(&bob, "mailbox").await;
    for message in page["messages"].as_array().unwrap() {
        // The message expires whole minutes after it was sent, so the seconds and microseconds of both times are equal.
        let (sent, expires) = (message["sent_at"].as_str().unwrap(), message["expires_at"].as_str().unwrap());
        assert!(sent < expires && sent[16..] == expires[16..], "sent {sent}, expires {expires}");
    }
}
