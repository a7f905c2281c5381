use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{Info, PasswordHash, PrivateKey, PublicKey, User, UserId, Version};
use crate::ports::{DeliverOutcome, NewDelivery, OpenSessionOutcome, Stores, UpdateUserOutcome, UserChange};

pub(super) async fn a_user_is_found_as_registered(stores: Stores) {
    let alice = add(&stores, "Alice").await.user;
    assert_eq!(alice.username.as_str(), "Alice");
    assert_eq!(alice.public_key.as_str(), "public key of Alice");
    assert_eq!(alice.private_key.as_ref().map(PrivateKey::as_str), Some("private key of Alice"));
    assert_eq!(alice.info.as_str(), "");
    assert_eq!(must(stores.users.find(&name("Alice")).await), Some(alice));
}

pub(super) async fn a_user_is_found_by_any_spelling_of_its_name(stores: Stores) {
    let alice = add(&stores, "Alice").await.user;
    for spelling in ["alice", "ALICE", "aLiCe"] {
        let found = must(stores.users.find(&name(spelling)).await);
        assert_eq!(found.as_ref(), Some(&alice), "{spelling}");
    }
}

pub(super) async fn a_taken_name_is_refused_in_any_spelling(stores: Stores) {
    let alice = add(&stores, "alice").await.user;
    for spelling in ["alice", "Alice", "ALICE"] {
        assert_eq!(must(stores.users.add(new_user(spelling)).await), None, "{spelling}");
    }
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn concurrent_registrations_of_a_name_succeed_once(stores: Stores) {
    let attempts = (0..20).map(|attempt| {
        let spelling = if attempt % 2 == 0 { "alice" } else { "ALICE" };
        stores.users.add(new_user(spelling))
    });
    let winners: Vec<_> = join_all(attempts).await.into_iter().filter_map(must).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(must(stores.users.find(&name("alice")).await).as_ref(), Some(&winners[0].user));
}

pub(super) async fn identifiers_are_never_reused(stores: Stores) {
    let alice = add(&stores, "alice").await;
    assert_eq!(must(stores.users.add(new_user("alice")).await), None);
    let bob = add(&stores, "bob").await;
    assert_ne!(alice.user.id, bob.user.id);
    assert_ne!(alice.mailbox, bob.mailbox);
    let first = deliver(&stores, "alice", "one", 0).await;
    acknowledge_before(&stores, alice.mailbox, moment(1), 1000).await;
    let second = deliver(&stores, "alice", "two", 0).await;
    assert_ne!(first.id, second.id);
}

pub(super) async fn a_private_key_is_optional(stores: Stores) {
    let mut new = new_user("alice");
    new.private_key = None;
    let alice = must(must(stores.users.add(new).await).ok_or("taken")).user;
    assert_eq!(alice.private_key, None);
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn opaque_texts_are_returned_byte_for_byte(stores: Stores) {
    let text = "\0 \u{1F54A} \" \\ ' \r\n\u{FFFF} é";
    let mut new = new_user("alice");
    new.public_key = must(PublicKey::new(text.to_owned()));
    new.private_key = Some(must(PrivateKey::new("p".repeat(PrivateKey::MAX_BYTES))));
    new.info = must(Info::new(text.repeat(100)));
    let alice = must(must(stores.users.add(new.clone()).await).ok_or("taken")).user;
    assert_eq!(alice.public_key, new.public_key);
    assert_eq!(alice.private_key, new.private_key);
    assert_eq!(alice.info, new.info);
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn a_credential_has_the_user_and_its_first_device(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    let credential = must(must(stores.users.credential(&name("aLICE")).await).ok_or("no credential"));
    assert_eq!(credential.user_id, alice.user.id);
    assert_eq!(credential.username, alice.user.username);
    assert_eq!(credential.password_hash.reveal(), "hash of Alice");
    deliver(&stores, "alice", "hello", 0).await;
    assert_eq!(numbers(&read_all(&stores, credential.first_device).await), [1]);
}

pub(super) async fn an_unknown_user_is_not_found(stores: Stores) {
    add(&stores, "alice").await;
    assert_eq!(must(stores.users.find(&name("alic")).await), None);
    assert_eq!(must(stores.users.find(&name("alice_")).await), None);
    assert!(must(stores.users.credential(&name("bob")).await).is_none());
}

pub(super) async fn an_update_replaces_only_the_given_fields(stores: Stores) {
    let alice = add(&stores, "alice").await.user;
    let bob = add(&stores, "bob").await.user;
    let change = UserChange { info: Some(info("tea")), ..UserChange::default() };
    let changed = updated(&stores, &alice, change, None).await;
    let expected = User { info: info("tea"), version: alice.version.next(), ..alice.clone() };
    assert_eq!(changed, expected);

    let key = must(PublicKey::new("another key".to_owned()));
    let change = UserChange { public_key: Some(key.clone()), private_key: Some(None), info: None };
    let changed = updated(&stores, &alice, change, Some(expected.version)).await;
    let expected = User { public_key: key, private_key: None, version: expected.version.next(), ..expected };
    assert_eq!(changed, expected);

    let key = must(PrivateKey::new("a private key again".to_owned()));
    let change = UserChange { private_key: Some(Some(key.clone())), ..UserChange::default() };
    let changed = updated(&stores, &alice, change, None).await;
    assert_eq!(changed.private_key, Some(key));
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(changed));
    assert_eq!(must(stores.users.find(&name("bob")).await), Some(bob));
}

async fn updated(stores: &Stores, user: &User, change: UserChange, expected: Option<Version>) -> User {
    match must(stores.users.update(user.id, change, expected).await) {
        UpdateUserOutcome::Updated(user) => user,
        other => panic!("not changed: {other:?}"),
    }
}

pub(super) async fn concurrent_updates_of_a_version_succeed_once(stores: Stores) {
    let alice = add(&stores, "alice").await.user;
    let change = |text: &str| UserChange { info: Some(info(text)), ..UserChange::default() };
    let attempts = ["one", "two", "three"].map(|text| stores.users.update(alice.id, change(text), Some(alice.version)));
    let outcomes = join_all(attempts).await.into_iter().map(must).collect::<Vec<_>>();
    let made: Vec<_> = outcomes.iter().filter(|outcome| **outcome != UpdateUserOutcome::VersionMismatch).collect();
    let [UpdateUserOutcome::Updated(user)] = made.as_slice() else { panic!("{outcomes:?}") };
    assert_eq!(must(stores.users.find(&name("alice")).await).as_ref(), Some(user));
}

pub(super) async fn an_unknown_user_cannot_be_updated(stores: Stores) {
    add(&stores, "alice").await;
    let change = UserChange { info: Some(info("tea")), ..UserChange::default() };
    assert_eq!(must(stores.users.update(UserId::new(4711), change, None).await), UpdateUserOutcome::NotFound);
}

pub(super) async fn a_search_returns_users_ordered_by_name(stores: Stores) {
    for username in ["bob", "Alice", "alicia", "ALI-baba", "al_ice", "alice2"] {
        add(&stores, username).await;
    }
    let search = async |prefix: &str, after: Option<&str>, limit| {
        let found = must(stores.users.search(prefix, after.map(name), limit).await);
        found.into_iter().map(|user| user.username.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(search("ali", None, 10).await, ["ALI-baba", "Alice", "alice2", "alicia"]);
    assert_eq!(search("ALI", None, 2).await, ["ALI-baba", "Alice"]);
    assert_eq!(search("ali", Some("aLice"), 2).await, ["alice2", "alicia"]);
    assert_eq!(search("ali", Some("alicia"), 2).await, [""; 0]);
    assert_eq!(search("al_", None, 10).await, ["al_ice"]);
    assert_eq!(search("zoe", None, 10).await, [""; 0]);
}

pub(super) async fn changing_the_password_ends_all_other_sessions(stores: Stores) {
    let (alice, bob) = (add(&stores, "alice").await, add(&stores, "bob").await);
    let (kept, _) = open(&stores, &alice, None, 1).await;
    open(&stores, &alice, Some(alice.mailbox), 2).await;
    open(&stores, &bob, None, 3).await;
    let sessions = async || {
        let mut found = Vec::new();
        for number in [1, 2, 3] {
            found.push(must(stores.sessions.find(&token(number)).await).is_some());
        }
        found
    };
    let (old, new) = (PasswordHash::new("hash of alice".to_owned()), PasswordHash::new("new hash".to_owned()));
    assert!(!must(stores.users.set_password(alice.user.id, &new, old.clone(), kept.id).await));
    assert_eq!(sessions().await, [true, true, true]);
    assert!(must(stores.users.set_password(alice.user.id, &old, new.clone(), kept.id).await));
    assert_eq!(sessions().await, [true, false, true]);
    let credential = must(must(stores.users.credential(&name("alice")).await).ok_or("no credential"));
    assert_eq!(credential.password_hash, new);
    let late = must(stores.sessions.open(new_session(&alice, None, 4)).await);
    assert_eq!(late, OpenSessionOutcome::Superseded);
}

pub(super) async fn a_deleted_user_leaves_nothing_and_its_name_stays_reserved(stores: Stores) {
    let (alice, bob) = (add(&stores, "Alice").await, add(&stores, "bob").await);
    let (_, second) = open(&stores, &alice, None, 1).await;
    deliver(&stores, "alice", "for alice", 0).await;
    let sent = NewDelivery { sender: name("Alice"), ..delivery(&[("bob", "from alice")], 0) };
    store(&stores, sent).await;

    assert!(must(stores.users.delete(alice.user.id).await));
    assert!(!must(stores.users.delete(alice.user.id).await));
    while must(stores.mailboxes.purge(1).await) {}
    assert_eq!(must(stores.users.find(&name("alice")).await), None);
    assert!(must(stores.users.credential(&name("alice")).await).is_none());
    assert_eq!(must(stores.sessions.find(&token(1)).await), None);
    assert_eq!(must(stores.sessions.list(alice.user.id).await), []);
    assert_eq!(must(stores.devices.list(alice.user.id).await), []);
    for mailbox in [alice.mailbox, second.id] {
        assert!(!exists(&stores, mailbox).await);
    }
    for spelling in ["Alice", "alice"] {
        assert_eq!(must(stores.users.add(new_user(spelling)).await), None);
    }
    let refused = must(stores.mailboxes.deliver(delivery(&[("alice", "late")], 0)).await);
    assert_eq!(refused, DeliverOutcome::UnknownRecipients(vec![name("alice")]));
    // Messages that the user sent remain with their recipients.
    assert_eq!(numbers(&read_all(&stores, bob.mailbox).await), [1]);
    assert!(must(stores.users.add(new_user("alice2")).await).is_some());
}
