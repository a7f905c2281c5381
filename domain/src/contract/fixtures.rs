//! Helpers that prepare the stores for a test case. A helper panics if one of its calls fails.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::model::{
    Contents, Device, DeviceId, DeviceName, GapReason, Incarnation, Info, PasswordHash, PrivateKey, PublicKey, Quota,
    SequenceNumber, Session, Timestamp, Token, TokenHash, User, Username,
};
use crate::ports::{
    AcknowledgeOutcome, AddressedContents, DeliverOutcome, MailboxPage, NewDelivery, NewSession, NewUser,
    OpenSessionOutcome, PageLimit, Receipt, Stores,
};

/// The time at which every test case starts, as a Unix second.
pub(super) const START: i64 = 1_700_000_000;

/// Returns the time `micros` microseconds after [`START`].
pub(super) fn moment(micros: i64) -> Timestamp {
    Timestamp::from_micros(START * 1_000_000 + micros)
}

pub(super) fn name(text: &str) -> Username {
    must(Username::new(text))
}

pub(super) fn contents(text: &str) -> Contents {
    must(Contents::new(text.to_owned()))
}

pub(super) fn info(text: &str) -> Info {
    must(Info::new(text.to_owned()))
}

pub(super) fn device_name(text: &str) -> DeviceName {
    must(DeviceName::new(text.to_owned()))
}

/// Returns a different incarnation on each call.
fn incarnation() -> Incarnation {
    static INCARNATIONS: AtomicI64 = AtomicI64::new(1);
    Incarnation::new(INCARNATIONS.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn new_user(username: &str) -> NewUser {
    NewUser {
        username: name(username),
        password_hash: PasswordHash::new(format!("hash of {username}")),
        public_key: must(PublicKey::new(format!("public key of {username}"))),
        private_key: Some(must(PrivateKey::new(format!("private key of {username}")))),
        info: info(""),
        device_name: device_name(&format!("first device of {username}")),
        incarnation: incarnation(),
        token: None,
        created_at: moment(0),
    }
}

/// A registered user, with the mailbox of its first device.
pub(super) struct TestUser {
    pub(super) user: User,
    pub(super) mailbox: DeviceId,
}

pub(super) async fn add(stores: &Stores, username: &str) -> TestUser {
    let account = must(must(stores.users.add(new_user(username)).await).ok_or("the name is taken"));
    TestUser { user: account.user, mailbox: account.device.id }
}

/// Returns the hash of a test token. Each `number` stands for a different token.
pub(super) fn token(number: u8) -> TokenHash {
    Token::from_random([number; 32]).hash()
}

/// Returns a request to open a session for a user, on the given device or on a new device. The session's token is
/// `token(number)`.
pub(super) fn new_session(account: &TestUser, device: Option<DeviceId>, number: u8) -> NewSession {
    NewSession {
        user_id: account.user.id,
        password_hash: PasswordHash::new(format!("hash of {}", account.user.username)),
        device,
        may_add_device: true,
        device_name: device_name("another device"),
        incarnation: incarnation(),
        token: token(number),
        now: moment(0),
    }
}

pub(super) async fn open(
    stores: &Stores,
    account: &TestUser,
    device: Option<DeviceId>,
    number: u8,
) -> (Session, Device) {
    match must(stores.sessions.open(new_session(account, device, number)).await) {
        OpenSessionOutcome::Opened(session, device) => (session, device),
        other => panic!("not opened: {other:?}"),
    }
}

/// Adds a device to a user, and returns the device's mailbox.
pub(super) async fn add_device(stores: &Stores, account: &TestUser) -> DeviceId {
    static LOGINS: AtomicU64 = AtomicU64::new(0);
    let mut bits = [0xff; 32];
    bits[..8].copy_from_slice(&LOGINS.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let login = NewSession { token: Token::from_random(bits).hash(), ..new_session(account, None, 0) };
    match must(stores.sessions.open(login).await) {
        OpenSessionOutcome::Opened(_, device) => device.id,
        other => panic!("not opened: {other:?}"),
    }
}

/// A quota that is large enough for all test cases except those that test the quota.
pub(super) const ROOM: Quota = Quota { messages: 10_000, bytes: 100_000_000 };
/// Seconds until the messages of a test case expire.
pub(super) const TTL: u64 = 1000;

/// Returns a send at `micros` microseconds after [`START`]. Each recipient is a pair of a username and the text for
/// that user. The sender, Bob, need not be registered.
pub(super) fn delivery(recipients: &[(&str, &str)], micros: i64) -> NewDelivery {
    let addressed =
        |(recipient, text): &(&str, &str)| AddressedContents { recipient: name(recipient), contents: contents(text) };
    NewDelivery {
        sender: name("bob"),
        sender_device: DeviceId::new(4711),
        session: None,
        recipients: recipients.iter().map(addressed).collect(),
        now: moment(micros),
        ttl_seconds: TTL,
        quota: ROOM,
        idempotency: None,
    }
}

/// Delivers a send, and panics unless the send is stored.
pub(super) async fn store(stores: &Stores, delivery: NewDelivery) -> Receipt {
    match must(stores.mailboxes.deliver(delivery).await) {
        DeliverOutcome::Stored { receipt, .. } => receipt,
        other => panic!("not stored: {other:?}"),
    }
}

/// Delivers a message to one recipient at `micros` microseconds after [`START`].
pub(super) async fn deliver(stores: &Stores, recipient: &str, text: &str, micros: i64) -> Receipt {
    store(stores, delivery(&[(recipient, text)], micros)).await
}

pub(super) async fn read(stores: &Stores, mailbox: DeviceId, after: i64, count: usize) -> MailboxPage {
    let limit = PageLimit { count, bytes: usize::MAX };
    read_limited(stores, mailbox, after, limit, moment(0)).await
}

pub(super) async fn read_limited(
    stores: &Stores,
    mailbox: DeviceId,
    after: i64,
    limit: PageLimit,
    now: Timestamp,
) -> MailboxPage {
    let page = must(stores.mailboxes.read(mailbox, SequenceNumber::new(after), limit, now).await);
    must(page.ok_or("the mailbox does not exist"))
}

/// Returns whether the store has this mailbox.
pub(super) async fn exists(stores: &Stores, mailbox: DeviceId) -> bool {
    let limit = PageLimit { count: 1, bytes: usize::MAX };
    must(stores.mailboxes.read(mailbox, SequenceNumber::ZERO, limit, moment(0)).await).is_some()
}

pub(super) async fn read_all(stores: &Stores, mailbox: DeviceId) -> MailboxPage {
    read(stores, mailbox, 0, 10_000).await
}

pub(super) async fn acknowledge(stores: &Stores, mailbox: DeviceId, up_to: i64, limit: usize) -> AcknowledgeOutcome {
    must(stores.mailboxes.acknowledge(mailbox, SequenceNumber::new(up_to), None, limit).await)
}

pub(super) async fn acknowledge_before(stores: &Stores, mailbox: DeviceId, moment: Timestamp, limit: usize) -> u64 {
    must(stores.mailboxes.acknowledge_before(mailbox, moment, limit).await)
}

/// Returns the sequence numbers of the envelopes on a page.
pub(super) fn numbers(page: &MailboxPage) -> Vec<i64> {
    page.envelopes.iter().map(|envelope| envelope.sequence.get()).collect()
}

/// Returns the gaps of a page: first and last number, and the reason.
pub(super) fn gaps(page: &MailboxPage) -> Vec<(i64, i64, GapReason)> {
    page.gaps.iter().map(|gap| (gap.first.get(), gap.last.get(), gap.reason)).collect()
}

/// Returns the value of a successful result, and panics if the result is an error.
pub(super) fn must<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a step failed: {error:?}"),
    }
}

/// Yields to the other futures of a `join`, on any async runtime.
pub(super) async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut yielded, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
