use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{DeviceId, MAX_DEVICES, MAX_SESSIONS, SessionId};
use crate::ports::{NewSession, OpenSessionOutcome, SessionOwner, Stores};

pub(super) async fn a_token_identifies_its_session(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    let (session, device) = open(&stores, &alice, None, 1).await;
    assert_eq!(device.name, device_name("another device"));
    assert_eq!((session.device, session.created_at), (device.id, moment(0)));
    let owner = SessionOwner {
        session: session.id,
        user_id: alice.user.id,
        username: alice.user.username.clone(),
        device: device.id,
    };
    // The second lookup may be served from a cache.
    for _ in 0..2 {
        assert_eq!(must(stores.sessions.find(&token(1)).await), Some(owner.clone()));
    }
    assert_eq!(must(stores.sessions.find(&token(2)).await), None);
    assert_eq!(must(stores.sessions.list(alice.user.id).await), [session]);
}

pub(super) async fn a_user_can_register_with_a_session(stores: Stores) {
    let mut new = new_user("alice");
    new.token = Some(token(1));
    let account = must(must(stores.users.add(new).await).ok_or("taken"));
    let session = must(account.session.ok_or("no session"));
    assert_eq!(session.device, account.device.id);
    let owner = must(must(stores.sessions.find(&token(1)).await).ok_or("no session"));
    assert_eq!((owner.session, owner.device), (session.id, account.device.id));
    assert_eq!(must(stores.devices.list(account.user.id).await), [account.device]);
}

pub(super) async fn a_login_reuses_only_a_device_of_its_own_user(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let (_, reused) = open(&stores, &alice, Some(alice.mailbox), 1).await;
    assert_eq!((reused.id, reused.name), (alice.mailbox, device_name("first device of alice")));
    for (foreign, number) in [(bob.mailbox, 2), (DeviceId::new(4711), 3)] {
        let (_, device) = open(&stores, &alice, Some(foreign), number).await;
        assert_ne!(device.id, foreign);
        assert_eq!(read_all(&stores, device.id).await.not_before, moment(0));
    }
    assert_eq!(must(stores.devices.list(alice.user.id).await).len(), 3);
    assert_eq!(must(stores.devices.list(bob.user.id).await).len(), 1);
}

pub(super) async fn a_login_that_may_not_add_a_device_uses_only_one_of_its_own_user(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let log_in = async |device, number| {
        let login = NewSession { may_add_device: false, ..new_session(&alice, device, number) };
        must(stores.sessions.open(login).await)
    };
    for device in [None, Some(bob.mailbox), Some(DeviceId::new(4711))] {
        assert_eq!(log_in(device, 1).await, OpenSessionOutcome::NoDevice);
    }
    assert_eq!(must(stores.sessions.find(&token(1)).await), None);
    assert_eq!(must(stores.devices.list(alice.user.id).await).len(), 1);
    let opened = log_in(Some(alice.mailbox), 2).await;
    assert!(matches!(opened, OpenSessionOutcome::Opened(session, _) if session.device == alice.mailbox));
}

pub(super) async fn an_outdated_password_hash_opens_no_session(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let outdated = NewSession {
        password_hash: crate::model::PasswordHash::new("another hash".to_owned()),
        ..new_session(&alice, None, 1)
    };
    assert_eq!(must(stores.sessions.open(outdated).await), OpenSessionOutcome::Superseded);
    assert_eq!(must(stores.devices.list(alice.user.id).await).len(), 1);
}

pub(super) async fn concurrent_logins_do_not_exceed_the_device_limit(stores: Stores) {
    let alice = add(&stores, "alice").await;
    let logins = (0..MAX_DEVICES + 5).map(|number| new_session(&alice, None, number as u8));
    let outcomes: Vec<_> =
        join_all(logins.map(|login| stores.sessions.open(login))).await.into_iter().map(must).collect();
    let refused = outcomes.iter().filter(|outcome| **outcome == OpenSessionOutcome::TooManyDevices).count();
    // Registration created the first device.
    assert_eq!(refused, 6);
    assert_eq!(must(stores.devices.list(alice.user.id).await).len(), MAX_DEVICES);
    open(&stores, &alice, Some(alice.mailbox), 100).await;
}

pub(super) async fn a_session_above_the_limit_ends_the_oldest_one(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for number in 0..=MAX_SESSIONS {
        open(&stores, &alice, Some(alice.mailbox), number as u8).await;
        assert!(must(stores.sessions.find(&token(number as u8)).await).is_some());
    }
    assert_eq!(must(stores.sessions.find(&token(0)).await), None);
    assert!(must(stores.sessions.find(&token(1)).await).is_some());
    assert_eq!(must(stores.sessions.list(alice.user.id).await).len(), MAX_SESSIONS);
}

pub(super) async fn an_ended_session_is_not_found(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let (session, _) = open(&stores, &alice, None, 1).await;
    let (other, _) = open(&stores, &alice, None, 2).await;
    assert!(must(stores.sessions.find(&token(1)).await).is_some());
    // Another user can't end the session (D9).
    assert!(!must(stores.sessions.end(bob.user.id, session.id).await));
    assert!(!must(stores.sessions.end(alice.user.id, SessionId::new(4711)).await));
    assert!(must(stores.sessions.find(&token(1)).await).is_some());
    assert!(must(stores.sessions.end(alice.user.id, session.id).await));
    assert_eq!(must(stores.sessions.find(&token(1)).await), None);
    assert!(!must(stores.sessions.end(alice.user.id, session.id).await));
    assert_eq!(must(stores.sessions.list(alice.user.id).await), [other]);
}

/// Looks a token up several times while its session ends. A lookup that still finds the session must not leave the
/// session in a cache after its end.
pub(super) async fn concurrent_lookups_do_not_cache_an_ended_session(stores: Stores) {
    let alice = add(&stores, "alice").await;
    for _ in 0..20 {
        let (session, _) = open(&stores, &alice, Some(alice.mailbox), 1).await;
        let lookups = join_all((0..8).map(|_| stores.sessions.find(&TOKEN)));
        let (_, ended) = futures_util::future::join(lookups, stores.sessions.end(alice.user.id, session.id)).await;
        assert!(must(ended));
        assert_eq!(must(stores.sessions.find(&token(1)).await), None);
    }
}

static TOKEN: std::sync::LazyLock<crate::model::TokenHash> = std::sync::LazyLock::new(|| token(1));
