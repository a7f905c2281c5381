//! What the cases need to set the scene. All of it panics where the scene can't be set.

use crate::model::{
    Contents, DeviceId, Info, Message, PasswordHash, PrivateKey, PublicKey, SequenceNumber, Timestamp, User, Username,
};
use crate::ports::{NewMessage, NewUser, Page, Stores};

/// When every scene starts.
pub(super) const START: i64 = 1_700_000_000;

/// So many microseconds after the start.
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

pub(super) fn new_user(username: &str) -> NewUser {
    NewUser {
        username: name(username),
        password_hash: PasswordHash::new(format!("hash of {username}")),
        public_key: must(PublicKey::new(format!("public key of {username}"))),
        private_key: Some(must(PrivateKey::new(format!("private key of {username}")))),
        info: info(""),
        created_at: moment(0),
    }
}

/// A user that is in the stores, with the mailbox of its first device.
pub(super) struct Resident {
    pub(super) user: User,
    pub(super) mailbox: DeviceId,
}

pub(super) async fn add(stores: &Stores, username: &str) -> Resident {
    let user = must(must(stores.users.add(new_user(username)).await).ok_or("the name is taken"));
    let credential = must(must(stores.users.credential(&user.username).await).ok_or("no credential"));
    Resident { user, mailbox: credential.first_device }
}

/// Delivers from Bob, whoever that is, so many microseconds after the start.
pub(super) async fn deliver(stores: &Stores, recipient: &str, text: &str, micros: i64) -> Option<Message> {
    let message =
        NewMessage { sender: name("bob"), recipient: name(recipient), contents: contents(text), now: moment(micros) };
    must(stores.mailboxes.deliver(message).await)
}

pub(super) async fn read(stores: &Stores, mailbox: DeviceId, after: i64, limit: usize) -> Page {
    must(stores.mailboxes.read(mailbox, SequenceNumber::new(after), limit).await)
}

pub(super) async fn read_all(stores: &Stores, mailbox: DeviceId) -> Page {
    read(stores, mailbox, 0, 10_000).await
}

pub(super) async fn acknowledge(stores: &Stores, mailbox: DeviceId, moment: Timestamp, limit: usize) -> u64 {
    must(stores.mailboxes.acknowledge_before(mailbox, moment, limit).await)
}

/// The sequence numbers of a page.
pub(super) fn numbers(page: &Page) -> Vec<i64> {
    page.envelopes.iter().map(|envelope| envelope.sequence.get()).collect()
}

/// Takes the value of a step that a case relies on.
pub(super) fn must<T, E: std::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("a step failed: {error:?}"),
    }
}
