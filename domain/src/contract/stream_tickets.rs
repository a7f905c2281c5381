use futures_util::future::join_all;

use super::fixtures::*;
use crate::model::{MAX_STREAM_TICKETS, Session, SessionId, TokenHash};
use crate::ports::{NewStreamTicket, Stores};

/// Stores the ticket with the hash `token(number)`, which expires `expires_in` microseconds after [`START`].
/// Returns false if the session has ended.
async fn add_ticket(stores: &Stores, session: SessionId, number: u8, expires_in: i64) -> bool {
    let ticket = NewStreamTicket { ticket: token(number), session, expires_at: moment(expires_in) };
    must(stores.stream_tickets.issue(ticket).await)
}

/// Takes the ticket with the hash `token(number)` at the time [`START`].
async fn take(stores: &Stores, number: u8) -> Option<TokenHash> {
    must(stores.stream_tickets.take(&token(number), moment(0)).await)
}

/// Registers Alice, and opens a session with the token `token(1)`.
async fn alice_with_session(stores: &Stores) -> (TestUser, Session) {
    let alice = add(stores, "alice").await;
    let (session, _) = open(stores, &alice, Some(alice.mailbox), 1).await;
    (alice, session)
}

pub(super) async fn a_ticket_is_taken_once_and_leads_to_its_session(stores: Stores) {
    let (alice, session) = alice_with_session(&stores).await;
    let (other, _) = open(&stores, &alice, None, 2).await;
    assert!(add_ticket(&stores, session.id, 11, 1).await);
    assert!(add_ticket(&stores, other.id, 12, 1).await);
    assert_eq!(take(&stores, 13).await, None);
    assert_eq!(take(&stores, 11).await, Some(token(1)));
    assert_eq!(take(&stores, 11).await, None);
    assert_eq!(take(&stores, 12).await, Some(token(2)));
    // A ticket is no token, and a token no ticket.
    assert!(add_ticket(&stores, session.id, 11, 1).await);
    assert_eq!(must(stores.sessions.find(&token(11)).await), None);
    assert_eq!(take(&stores, 1).await, None);
}

pub(super) async fn concurrent_uses_of_a_ticket_succeed_once(stores: Stores) {
    let (_, session) = alice_with_session(&stores).await;
    for _ in 0..10 {
        assert!(add_ticket(&stores, session.id, 11, 1).await);
        let taken = join_all((0..8).map(|_| take(&stores, 11))).await;
        assert_eq!(taken.into_iter().flatten().collect::<Vec<_>>(), [token(1)]);
    }
}

pub(super) async fn an_expired_ticket_is_not_taken_and_is_deleted_in_batches(stores: Stores) {
    let (_, session) = alice_with_session(&stores).await;
    for (number, expires_in) in [(11, -1), (12, 0), (13, 0), (14, 1)] {
        assert!(add_ticket(&stores, session.id, number, expires_in).await);
    }
    for number in 11..14 {
        assert_eq!(take(&stores, number).await, None);
    }
    let expire = async || must(stores.stream_tickets.expire_tickets(moment(0), 2).await);
    assert_eq!((expire().await, expire().await, expire().await), (2, 1, 0));
    assert_eq!(take(&stores, 14).await, Some(token(1)));
}

pub(super) async fn a_ticket_ends_with_its_session(stores: Stores) {
    let (alice, session) = alice_with_session(&stores).await;
    let (second, device) = open(&stores, &alice, None, 2).await;
    assert!(add_ticket(&stores, session.id, 11, 1).await);
    assert!(add_ticket(&stores, second.id, 12, 1).await);
    assert!(must(stores.sessions.end(alice.user.id, session.id).await));
    must(stores.devices.delete(alice.user.id, device.id).await);
    for (session, number) in [(session.id, 11), (second.id, 12), (SessionId::new(4711), 13)] {
        assert_eq!(take(&stores, number).await, None);
        assert!(!add_ticket(&stores, session, 14, 1).await);
    }
    assert_eq!(take(&stores, 14).await, None);
}

pub(super) async fn a_session_has_a_limited_number_of_tickets(stores: Stores) {
    let (alice, session) = alice_with_session(&stores).await;
    let (other, _) = open(&stores, &alice, None, 2).await;
    assert!(add_ticket(&stores, other.id, 10, 1).await);
    let count = MAX_STREAM_TICKETS as u8;
    let tickets = (0..2 * count).map(|number| add_ticket(&stores, session.id, 100 + number, 1 + i64::from(number)));
    for added in tickets {
        assert!(added.await);
    }
    for number in 0..count {
        assert_eq!(take(&stores, 100 + number).await, None, "{number}");
        assert_eq!(take(&stores, 100 + count + number).await, Some(token(1)), "{number}");
    }
    assert_eq!(take(&stores, 10).await, Some(token(2)));
    // Concurrent calls do not exceed the limit either.
    join_all((0..2 * count).map(|number| add_ticket(&stores, session.id, 100 + number, 1))).await;
    let taken = join_all((0..2 * count).map(|number| take(&stores, 100 + number))).await;
    assert_eq!(taken.into_iter().flatten().count(), MAX_STREAM_TICKETS);
}
