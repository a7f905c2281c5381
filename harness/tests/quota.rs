//! Servers whose operator set narrow limits.
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

/// Names each test after the function that does it.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        [$((stringify!($test), (|backend| Box::pin($test(backend))) as Test)),+]
    };
}

fn main() {
    let tests = tests![
        a_full_mailbox_is_told_to_the_sender_and_leaves_a_gap_for_the_reader,
        acknowledging_makes_room_and_clears_the_gaps,
        a_full_device_holds_up_no_other,
        a_full_recipient_holds_up_no_other,
        a_mailbox_is_full_by_its_bytes,
        a_send_that_met_full_mailboxes_leaves_its_key_free,
        a_send_that_met_one_full_mailbox_is_the_same_when_repeated,
        a_classic_sender_learns_of_a_full_mailbox,
        nobody_is_searched_for_where_the_search_is_off,
        a_message_waits_no_longer_than_the_operator_lets_it,
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

fn messages(messages: u64) -> Limits {
    Limits { mailbox: Quota { messages, ..Limits::default().mailbox }, ..Limits::default() }
}

fn bytes(bytes: u64) -> Limits {
    Limits { mailbox: Quota { bytes, ..Limits::default().mailbox }, ..Limits::default() }
}

/// A fresh server with these limits.
struct Scene {
    client: Client,
    server: TestServer,
}

/// A device, logged in.
struct Device {
    name: &'static str,
    id: Value,
    token: String,
}

impl Scene {
    async fn start(backend: Backend, limits: Limits) -> Self {
        let database = Arc::new(TestDatabase::create(backend).await.unwrap());
        let server = TestServer::start_with(database, 0, limits).await.unwrap();
        Self { client: Client::builder().no_proxy().build().unwrap(), server }
    }

    /// Two users, alice and bob.
    async fn users(&self) -> (Device, Device) {
        (self.enter("users", "alice").await, self.enter("users", "bob").await)
    }

    /// Registers or logs in.
    async fn enter(&self, path: &str, name: &'static str) -> Device {
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

    async fn write(&self, sender: &Device, to: &Device, contents: &str) -> u16 {
        self.send(sender, None, &message(&[to], contents)).await.0
    }

    async fn acknowledge(&self, device: &Device, up_to: i64) {
        let request = self.client.post(format!("{}/v1/mailbox/ack", self.server.url())).bearer_auth(&device.token);
        let answer = request.json(&json!({ "up_to": up_to })).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// What is in a mailbox: sequence numbers and contents, and the gaps.
    async fn mailbox(&self, device: &Device) -> (Vec<(i64, String)>, Value) {
        let (status, page) = self.get(device, "mailbox").await;
        assert_eq!(status, 200, "{page}");
        let messages = page["messages"].as_array().unwrap().iter();
        let messages =
            messages.map(|it| (it["sequence"].as_i64().unwrap(), it["contents"].as_str().unwrap().to_owned()));
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

fn full(first: i64, last: i64) -> Value {
    json!([{ "first": first, "last": last, "reason": "mailbox_full" }])
}

async fn a_full_mailbox_is_told_to_the_sender_and_leaves_a_gap_for_the_reader(backend: Backend) {
    let scene = Scene::start(backend, messages(2)).await;
    let (alice, bob) = scene.users().await;
    assert_eq!(scene.write(&alice, &bob, "one").await, 201);
    assert_eq!(scene.write(&alice, &bob, "two").await, 201);
    for last in [3, 4] {
        let (status, problem) = scene.send(&alice, None, &message(&[&bob], "lost")).await;
        assert_eq!((status, &problem["code"], &problem["status"]), (507, &json!("mailbox_full"), &json!(507)));
        assert_eq!(scene.mailbox(&bob).await, (texts(&[(1, "one"), (2, "two")]), full(3, last)));
    }
    // The mailbox of another has room.
    assert_eq!(scene.write(&bob, &alice, "back").await, 201);
}

async fn acknowledging_makes_room_and_clears_the_gaps(backend: Backend) {
    let scene = Scene::start(backend, messages(2)).await;
    let (alice, bob) = scene.users().await;
    for (text, status) in [("one", 201), ("two", 201), ("lost", 507)] {
        assert_eq!(scene.write(&alice, &bob, text).await, status);
    }
    scene.acknowledge(&bob, 1).await;
    assert_eq!(scene.write(&alice, &bob, "four").await, 201);
    assert_eq!(scene.write(&alice, &bob, "lost").await, 507);
    let gap = |number| full(number, number)[0].clone();
    let there = texts(&[(2, "two"), (4, "four")]);
    assert_eq!(scene.mailbox(&bob).await, (there, json!([gap(3), gap(5)])));
    scene.acknowledge(&bob, 3).await;
    assert_eq!(scene.mailbox(&bob).await, (texts(&[(4, "four")]), json!([gap(5)])));
    scene.acknowledge(&bob, 5).await;
    assert_eq!(scene.mailbox(&bob).await, (vec![], json!([])));
}

async fn a_full_device_holds_up_no_other(backend: Backend) {
    let scene = Scene::start(backend, messages(1)).await;
    let (alice, bob) = scene.users().await;
    let laptop = scene.enter("sessions", "bob").await;
    assert_eq!(scene.write(&alice, &bob, "one").await, 201);
    scene.acknowledge(&laptop, 1).await;
    let (status, receipt) = scene.send(&alice, None, &message(&[&bob], "two")).await;
    assert_eq!(status, 201, "{receipt}");
    let undelivered = json!([{ "username": "bob", "device_id": bob.id, "reason": "mailbox_full" }]);
    assert_eq!(receipt["undelivered"], undelivered);
    assert_eq!(scene.mailbox(&laptop).await, (texts(&[(2, "two")]), json!([])));
    assert_eq!(scene.mailbox(&bob).await, (texts(&[(1, "one")]), full(2, 2)));
    // Now both are full.
    assert_eq!(scene.write(&alice, &bob, "lost").await, 507);
    assert_eq!(scene.mailbox(&laptop).await, (texts(&[(2, "two")]), full(3, 3)));
}

async fn a_full_recipient_holds_up_no_other(backend: Backend) {
    let scene = Scene::start(backend, messages(1)).await;
    let (alice, bob) = scene.users().await;
    assert_eq!(scene.write(&alice, &bob, "one").await, 201);
    let (status, receipt) = scene.send(&bob, None, &message(&[&bob, &alice], "two")).await;
    assert_eq!(status, 201, "{receipt}");
    let undelivered = json!([{ "username": "bob", "device_id": bob.id, "reason": "mailbox_full" }]);
    assert_eq!(receipt["undelivered"], undelivered);
    assert_eq!(scene.mailbox(&alice).await, (texts(&[(1, "two")]), json!([])));
    assert_eq!(scene.mailbox(&bob).await, (texts(&[(1, "one")]), full(2, 2)));
}

async fn a_mailbox_is_full_by_its_bytes(backend: Backend) {
    let scene = Scene::start(backend, bytes(100)).await;
    let (alice, bob) = scene.users().await;
    let (sixty, forty, forty_two) = ("x".repeat(60), "é".repeat(20), "é".repeat(21));
    for (text, status) in [(&sixty, 201), (&forty_two, 507), (&forty, 201), (&"x".to_owned(), 507)] {
        assert_eq!(scene.write(&alice, &bob, text).await, status, "{text}");
    }
    scene.acknowledge(&bob, 1).await;
    assert_eq!(scene.write(&alice, &bob, &"x".repeat(61)).await, 507);
    assert_eq!(scene.write(&alice, &bob, &sixty).await, 201);
    let (there, _) = scene.mailbox(&bob).await;
    assert_eq!(there, texts(&[(3, &forty), (6, &sixty)]));
}

async fn a_send_that_met_full_mailboxes_leaves_its_key_free(backend: Backend) {
    let scene = Scene::start(backend, messages(1)).await;
    let (alice, bob) = scene.users().await;
    assert_eq!(scene.write(&alice, &bob, "one").await, 201);
    let body = message(&[&bob], "again");
    for _ in 0..2 {
        assert_eq!(scene.send(&alice, Some("key"), &body).await.0, 507);
    }
    scene.acknowledge(&bob, 1).await;
    let sent = scene.send(&alice, Some("key"), &body).await;
    assert_eq!(sent.0, 201, "{}", sent.1);
    assert_eq!(scene.send(&alice, Some("key"), &body).await, sent);
    assert_eq!(scene.mailbox(&bob).await, (texts(&[(4, "again")]), full(2, 3)));
}

async fn a_send_that_met_one_full_mailbox_is_the_same_when_repeated(backend: Backend) {
    let scene = Scene::start(backend, messages(1)).await;
    let (alice, bob) = scene.users().await;
    assert_eq!(scene.write(&alice, &bob, "one").await, 201);
    let body = message(&[&bob, &alice], "two");
    let sent = scene.send(&alice, Some("key"), &body).await;
    assert_eq!((sent.0, sent.1["undelivered"].as_array().map(Vec::len)), (201, Some(1)));
    // Also where there would be room by now.
    scene.acknowledge(&bob, 1).await;
    assert_eq!(scene.send(&alice, Some("key"), &body).await, sent);
    assert_eq!(scene.mailbox(&bob).await, (vec![], full(2, 2)));
    assert_eq!(scene.mailbox(&alice).await, (texts(&[(1, "two")]), json!([])));
}

async fn a_classic_sender_learns_of_a_full_mailbox(backend: Backend) {
    let scene = Scene::start(backend, messages(1)).await;
    let (_, bob) = scene.users().await;
    for status in [201, 507] {
        let request = scene.client.post(format!("{}/messages", scene.server.url()));
        let request = request.header("x-user-name", "alice").header("x-user-token", "secret");
        let answer = request.json(&json!({ "recipient": "bob", "contents": "foo" })).send().await.unwrap();
        assert_eq!(answer.status(), status);
    }
    assert_eq!(scene.mailbox(&bob).await, (texts(&[(1, "foo")]), full(2, 2)));
}

async fn nobody_is_searched_for_where_the_search_is_off(backend: Backend) {
    let scene = Scene::start(backend, Limits { search: false, ..Limits::default() }).await;
    let (alice, _) = scene.users().await;
    for query in ["prefix=bob", "prefix=nobody", "prefix=bob&limit=1"] {
        let (status, problem) = scene.get(&alice, &format!("users?{query}")).await;
        assert_eq!((status, &problem["code"]), (403, &json!("search_off")));
    }
    // Who knows the whole name finds it.
    assert_eq!(scene.get(&alice, "users/bob").await.0, 200);
}

async fn a_message_waits_no_longer_than_the_operator_lets_it(backend: Backend) {
    let scene = Scene::start(backend, Limits { ttl_seconds: 60, ..Limits::default() }).await;
    let (alice, bob) = scene.users().await;
    let mut body = message(&[&bob], "foo");
    for (seconds, expected) in [(Value::Null, 201), (json!(60), 201), (json!(61), 400), (json!(2_592_000), 400)] {
        body["ttl_seconds"] = seconds;
        let (status, answer) = scene.send(&alice, None, &body).await;
        assert_eq!(status, expected, "{answer}");
        if status == 400 {
            let detail = answer["detail"].as_str().unwrap();
            assert!(detail.contains("ttl_seconds") && detail.contains("60"), "{detail}");
        }
    }
    let (_, page) = scene.get(&bob, "mailbox").await;
    for message in page["messages"].as_array().unwrap() {
        // A minute later, at the same second of it.
        let (sent, expires) = (message["sent_at"].as_str().unwrap(), message["expires_at"].as_str().unwrap());
        assert!(sent < expires && sent[16..] == expires[16..], "sent {sent}, it expires {expires}");
    }
}
