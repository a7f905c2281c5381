use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{Info, PrivateKey, PublicKey, UserId};
use crate::ports::Stores;

pub(super) async fn a_user_is_found_as_it_was_registered(stores: Stores) {
    let alice = add(&stores, "Alice").await.user;
    assert_eq!(alice.username.as_str(), "Alice");
    assert_eq!(alice.public_key.as_str(), "public key of Alice");
    assert_eq!(alice.private_key.as_ref().map(PrivateKey::as_str), Some("private key of Alice"));
    assert_eq!(alice.info.as_str(), "");
    assert_eq!(must(stores.users.find(&name("Alice")).await), Some(alice));
}

pub(super) async fn a_user_is_found_by_every_spelling_of_its_name(stores: Stores) {
    let alice = add(&stores, "Alice").await.user;
    for spelling in ["alice", "ALICE", "aLiCe"] {
        let found = must(stores.users.find(&name(spelling)).await);
        assert_eq!(found.as_ref(), Some(&alice), "{spelling}");
    }
}

pub(super) async fn a_taken_name_is_refused_in_every_spelling(stores: Stores) {
    let alice = add(&stores, "alice").await.user;
    for spelling in ["alice", "Alice", "ALICE"] {
        assert_eq!(must(stores.users.add(new_user(spelling)).await), None, "{spelling}");
    }
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn of_many_who_want_one_name_at_once_one_gets_it(stores: Stores) {
    let attempts = (0..20).map(|attempt| {
        let spelling = if attempt % 2 == 0 { "alice" } else { "ALICE" };
        stores.users.add(new_user(spelling))
    });
    let winners: Vec<_> = join_all(attempts).await.into_iter().filter_map(must).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(must(stores.users.find(&name("alice")).await).as_ref(), Some(&winners[0]));
}

pub(super) async fn identifiers_are_given_out_once(stores: Stores) {
    let alice = add(&stores, "alice").await;
    assert_eq!(must(stores.users.add(new_user("alice")).await), None);
    let bob = add(&stores, "bob").await;
    assert_ne!(alice.user.id, bob.user.id);
    assert_ne!(alice.mailbox, bob.mailbox);
    let first = must(deliver(&stores, "alice", "one", 0).await.ok_or("not delivered"));
    acknowledge_before(&stores, alice.mailbox, moment(1), 1000).await;
    let second = must(deliver(&stores, "alice", "two", 0).await.ok_or("not delivered"));
    assert_ne!(first.id, second.id);
}

pub(super) async fn a_private_key_may_be_missing(stores: Stores) {
    let mut new = new_user("alice");
    new.private_key = None;
    let alice = must(must(stores.users.add(new).await).ok_or("taken"));
    assert_eq!(alice.private_key, None);
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn opaque_texts_come_out_as_they_went_in(stores: Stores) {
    let text = "\0 \u{1F54A} \" \\ ' \r\n\u{FFFF} é";
    let mut new = new_user("alice");
    new.public_key = must(PublicKey::new(text.to_owned()));
    new.private_key = Some(must(PrivateKey::new("p".repeat(PrivateKey::MAX_BYTES))));
    new.info = must(Info::new(text.repeat(100)));
    let alice = must(must(stores.users.add(new.clone()).await).ok_or("taken"));
    assert_eq!(alice.public_key, new.public_key);
    assert_eq!(alice.private_key, new.private_key);
    assert_eq!(alice.info, new.info);
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(alice));
}

pub(super) async fn the_credential_leads_to_the_user_and_its_first_device(stores: Stores) {
    let alice = add(&stores, "Alice").await;
    let credential = must(must(stores.users.credential(&name("aLICE")).await).ok_or("no credential"));
    assert_eq!(credential.user_id, alice.user.id);
    assert_eq!(credential.username, alice.user.username);
    assert_eq!(credential.password_hash.reveal(), "hash of Alice");
    deliver(&stores, "alice", "hello", 0).await;
    assert_eq!(numbers(&read_all(&stores, credential.first_device).await), [1]);
}

pub(super) async fn nobody_is_found_where_nobody_is(stores: Stores) {
    add(&stores, "alice").await;
    assert_eq!(must(stores.users.find(&name("alic")).await), None);
    assert_eq!(must(stores.users.find(&name("alice_")).await), None);
    assert!(must(stores.users.credential(&name("bob")).await).is_none());
}

pub(super) async fn info_is_replaced_and_nothing_else(stores: Stores) {
    let alice = add(&stores, "alice").await.user;
    let bob = add(&stores, "bob").await.user;
    let changed = must(must(stores.users.set_info(alice.id, info("tea")).await).ok_or("nobody"));
    assert_eq!(changed.info.as_str(), "tea");
    assert_eq!(crate::model::User { info: alice.info.clone(), ..changed.clone() }, alice);
    assert_eq!(must(stores.users.find(&name("alice")).await), Some(changed));
    assert_eq!(must(stores.users.find(&name("bob")).await), Some(bob));
}

pub(super) async fn the_info_of_nobody_cannot_be_replaced(stores: Stores) {
    add(&stores, "alice").await;
    assert_eq!(must(stores.users.set_info(UserId::new(4711), info("tea")).await), None);
}
