//! Checks each answer that a client gets against the oracle, which knows what the store must hold.

use std::time::Duration;

use woosh_domain::contract::{EnvelopeState, MailboxModel};
use woosh_domain::model::*;
use woosh_domain::ports::*;
use woosh_domain::timekeeping::TOLERANCE;
use woosh_domain::use_cases::ForgetKeys;

use crate::oracle::{Check, Oracle, ensure};
use crate::replica::{Answer, Call};
use crate::store::Shared;
use crate::world::{REQUEST_TIMEOUT, Request, World};

/// What was true when a request started. The answer to the request is checked against these values.
#[derive(Debug)]
pub(crate) struct Start {
    /// When the request started, in the simulation's own time, which is always right.
    time: Timestamp,
    /// The replica's time when the request started. For the replica, the messages whose expiry time was this time or
    /// earlier had expired.
    expired: Timestamp,
    /// Whether the request has a token that belonged to no open session when the request started.
    is_ended: bool,
    /// The mailbox of the session's device. `None` if there was no open session.
    mailbox: Option<DeviceId>,
    last: SequenceNumber,
    /// If the request is a read that waits: the last sequence number of the mailbox when the waiting time ended.
    /// `None` until then.
    last_in_time: Option<SequenceNumber>,
    /// How many operations of the replica on the store had failed because of a fault when the request started.
    faults: u64,
    /// How many notifications for the mailbox the replica had missed when the request started.
    lost: u64,
    /// Whether the password in the request was right. `false` if the request contains no password to log in with.
    is_password_right: bool,
    /// If the request is a read that waits: when the simulation first saw the read wait. `None` until then.
    waits_since: Option<Timestamp>,
}

impl Start {
    pub(crate) fn of(shared: &Shared, replica: usize, clock: &dyn Clock, call: &Call, token: Option<&Token>) -> Self {
        let oracle = shared.oracle();
        let session = token.and_then(|token| oracle.truth.session(&token.hash()));
        let mailbox = session.map(|(.., device)| device);
        let last = mailbox.and_then(|device| oracle.truth.mailboxes.get(&device)).map(MailboxModel::last);
        Self {
            time: oracle.now(),
            expired: clock.expiry_time(),
            is_ended: token.is_some() && session.is_none(),
            mailbox,
            last: last.unwrap_or(SequenceNumber::ZERO),
            faults: shared.faults()[replica].count,
            lost: mailbox.map_or(0, |mailbox| shared.network().lost(replica, mailbox)),
            is_password_right: is_password_right(&oracle, call),
            last_in_time: None,
            waits_since: None,
        }
    }
}

fn is_password_right(oracle: &Oracle, call: &Call) -> bool {
    let (Call::LogIn { name, password, .. }
    | Call::Poll { name, password }
    | Call::DeletePolled { name, password, .. }) = call
    else {
        return false;
    };
    oracle.truth.account(name).is_some_and(|account| account.password == *password)
}

impl World {
    /// Checks the answer to a request.
    pub(crate) fn answered(&self, request: &Request, answer: &Answer) -> Check {
        let Request { call, token, start, replica, .. } = request;
        let mut oracle = self.shared.oracle();
        let is_open = token.as_ref().is_some_and(|token| oracle.truth.session(&token.hash()).is_some());
        if start.is_ended {
            let is_refused = matches!(answer, Answer::Unauthorized | Answer::Failed);
            return ensure(is_refused, "D9 an ended session is refused", || format!("{call:?}: {answer:?}"));
        }
        match (call, answer) {
            (_, Answer::Failed) => {
                let faults = self.shared.faults()[*replica].count;
                ensure(faults > start.faults, "D8 nothing fails without a fault", || format!("{call:?}"))
            }
            (_, Answer::Unauthorized) => ensure(!is_open, "D9 an open session is served", || format!("{call:?}")),
            (Call::LogIn { .. } | Call::Poll { .. } | Call::DeletePolled { .. }, answer) => {
                let is_right = start.is_password_right && is_password_right(&oracle, call);
                let is_denied = matches!(answer, Answer::Denied);
                ensure(!(is_right && is_denied), "D9 the right password is accepted", || format!("{call:?}"))?;
                let is_wrong = !start.is_password_right && !is_password_right(&oracle, call);
                ensure(!is_wrong || is_denied, "D9 a wrong password is denied", || format!("{call:?}: {answer:?}"))?;
                if let Answer::Polled { device, messages, .. } = answer {
                    check_poll(&oracle, *device, messages)?;
                    let polled = oracle.truth.polled.entry(*device).or_default();
                    polled.extend(messages.iter().map(|message| message.id));
                }
                Ok(())
            }
            (Call::Send(index, _), Answer::Sent(receipt)) => {
                ensure(oracle.truth.ids.contains(&receipt.id), "D1 a confirmed send is stored", || {
                    format!("{receipt:?}")
                })?;
                let now = oracle.now();
                let send = &mut oracle.sends[*index];
                let first = send.receipt.get_or_insert_with(|| receipt.clone());
                let is_forgotten = now.since(send.requested) >= ForgetKeys::RETENTION;
                ensure(first == receipt || is_forgotten, "D4 a repeated send gets the same receipt", || {
                    format!("{receipt:?} after {first:?}")
                })
            }
            (Call::Read { cursor, wait, .. }, Answer::Page(page)) => {
                check_page(&oracle, start, *cursor, page)?;
                let is_over = oracle.now() >= start.time.plus(*wait);
                let is_empty = page.envelopes.is_empty() && !page.has_more;
                ensure(is_over || !is_empty, "D8 a reader waits as long as it asked for", || format!("{page:?}"))
            }
            (Call::Read { cursor: Cursor { after, incarnation }, .. }, Answer::CursorRefused(error)) => {
                check_refusal(&oracle, start, *after, *incarnation, *error)
            }
            (Call::Acknowledge { up_to, incarnation }, Answer::CursorRefused(error)) => {
                check_refusal(&oracle, start, Some(*up_to), *incarnation, *error)
            }
            (Call::Acknowledge { up_to, incarnation }, Answer::Acknowledged(reached)) => {
                let mailbox = start.mailbox.and_then(|device| oracle.truth.mailboxes.get(&device));
                let is_other = mailbox.zip(*incarnation).is_some_and(|(mailbox, own)| mailbox.incarnation != own);
                ensure(!is_other, "D3 D5 impossible positions are refused", || format!("{call:?}"))?;
                let is_true = mailbox.is_none_or(|mailbox| mailbox.acknowledged >= *reached);
                ensure(is_true && reached >= up_to, "D5 a confirmed acknowledgement is stored", || {
                    format!("{}, asked for {}", reached.get(), up_to.get())
                })
            }
            _ => Ok(()),
        }
    }

    /// Aborts requests that have taken too long. Does not abort reads that are known to wait for a message.
    pub(crate) fn time_out(&mut self) {
        let now = self.shared.time.now();
        self.requests.retain(|Request { call, start, .. }| {
            let wait = if let Call::Read { wait, .. } = call { *wait } else { Duration::ZERO };
            now < start.time.plus(wait + REQUEST_TIMEOUT) || start.waits_since.is_some()
        });
    }

    /// Notes the last sequence number of the mailbox for each read whose waiting time has ended. The read may still
    /// return an empty page later. Its `last` must then be at least the noted number, otherwise the read has missed a
    /// message.
    pub(crate) fn note_deadlines(&mut self) {
        let oracle = self.shared.oracle();
        let now = oracle.now();
        for Request { call, start, .. } in &mut self.requests {
            if let (Call::Read { wait, .. }, Some(device)) = (&*call, start.mailbox)
                && !wait.is_zero()
                && now >= start.time.plus(*wait)
                && let Some(mailbox) = oracle.truth.mailboxes.get(&device)
            {
                start.last_in_time.get_or_insert_with(|| mailbox.last());
            }
        }
    }

    /// Checks a request that now waits for a notification or for the end of its waiting time (D8). It must be a read
    /// that asked to wait. Its mailbox must have nothing to read, unless a notification was lost or is on its way.
    pub(crate) fn check_waiting(&mut self, index: usize) -> Check {
        let oracle = self.shared.oracle();
        let Request { call, token, start, replica, .. } = &mut self.requests[index];
        let (Call::Read { cursor, wait, .. }, Some(token)) = (&*call, &*token) else {
            return ensure(false, "D8 every request is answered", || format!("{call:?}"));
        };
        let since = *start.waits_since.get_or_insert_with(|| oracle.now());
        ensure(oracle.now() < since.plus(*wait), "D8 a wait ends in time", || format!("{call:?}"))?;
        let Some(device) = start.mailbox else { return Ok(()) };
        let network = self.shared.network();
        if network.lost(*replica, device) > start.lost || network.is_on_its_way(*replica, device) {
            return Ok(());
        }
        let is_open = oracle.truth.session(&token.hash()).is_some();
        ensure(is_open, "D8 D9 a waiting reader is told that its session has ended", || format!("{call:?}"))?;
        let mailbox = &oracle.truth.mailboxes[&device];
        let after = cursor.after.unwrap_or(SequenceNumber::ZERO);
        let now = self.replicas[*replica].clock.expiry_time();
        let unread = mailbox.pending().find(|(number, envelope)| *number > after && envelope.expires_at > now);
        ensure(unread.is_none(), "D8 a waiting reader is woken", || format!("{call:?}: {unread:?}"))
    }
}

fn check_refusal(
    oracle: &Oracle,
    start: &Start,
    after: Option<SequenceNumber>,
    incarnation: Option<Incarnation>,
    error: CursorError,
) -> Check {
    let mailbox = start.mailbox.and_then(|device| oracle.truth.mailboxes.get(&device));
    let Some(mailbox) = mailbox else { return Ok(()) };
    let is_right = match error {
        CursorError::Ahead(_) => after.is_some_and(|after| after > start.last),
        CursorError::OtherIncarnation(_) => incarnation != Some(mailbox.incarnation),
    };
    ensure(is_right, "D3 D5 only impossible positions are refused", || format!("{error:?}, {after:?}"))
}

/// Checks a page against the model of its mailbox. The page must contain nothing wrong, and must take into account
/// everything that was stored when the read started.
fn check_page(oracle: &Oracle, start: &Start, cursor: Cursor, page: &MailboxPage) -> Check {
    let Some(mailbox) = start.mailbox.and_then(|device| oracle.truth.mailboxes.get(&device)) else {
        return Ok(());
    };
    let after = cursor.after.unwrap_or(SequenceNumber::ZERO);
    let is_possible = after <= page.last && cursor.incarnation.is_none_or(|own| own == page.incarnation);
    ensure(is_possible && page.incarnation == mailbox.incarnation, "D3 D5 impossible positions are refused", || {
        format!("{cursor:?}: {page:?}")
    })?;
    ensure(
        page.last <= mailbox.last() && page.acknowledged <= mailbox.acknowledged,
        "D3 a page tells no numbers that are not assigned",
        || format!("{page:?}"),
    )?;
    let is_empty = page.envelopes.is_empty() && !page.has_more;
    let known = start.last_in_time.filter(|_| is_empty).unwrap_or(start.last);
    ensure(page.last >= known, "D2 D8 a page has what was stored before", || {
        format!("{page:?}, but {} was stored", known.get())
    })?;
    let mut previous = after;
    for envelope in &page.envelopes {
        let number = envelope.sequence;
        ensure(number > previous, "D3 numbers ascend", || format!("{number:?} after {previous:?}"))?;
        previous = number;
        let stored = mailbox.envelope(number).filter(|stored| stored.state != EnvelopeState::Refused);
        let is_same = stored.is_some_and(|stored| {
            stored.id == envelope.message.id
                && stored.text == envelope.message.contents.as_str()
                && stored.sent_at == envelope.message.sent_at
        });
        ensure(is_same, "D3 D9 D10 an envelope is the one that was stored", || format!("{envelope:?}, {stored:?}"))?;
        let is_late = envelope.message.expires_at.plus(TOLERANCE) < start.expired;
        ensure(!is_late, "D7 what has expired is not delivered", || format!("{envelope:?} at {:?}", start.expired))?;
    }
    let gaps = page.gaps.iter().flat_map(|gap| gap.first.get()..=gap.last.get());
    let mut covered: Vec<_> = gaps.chain(page.envelopes.iter().map(|envelope| envelope.sequence.get())).collect();
    covered.sort_unstable();
    let first = after.max(page.acknowledged).get() + 1;
    let covered = covered.into_iter().filter(|number| *number >= first);
    ensure(covered.eq(first..=page.up_to().get()), "D7 every number is an envelope or a gap", || {
        format!("after {}: {page:?}", after.get())
    })
}

/// Checks the messages that a poll of the classic API returned. All must be in the mailbox of `device`.
fn check_poll(oracle: &Oracle, device: DeviceId, messages: &[Message]) -> Check {
    let Some(mailbox) = oracle.truth.mailboxes.get(&device) else { return Ok(()) };
    let stored = |message: &Message| {
        let mut envelopes = mailbox.envelopes.iter();
        envelopes.any(|stored| stored.id == message.id && stored.text == message.contents.as_str())
    };
    let foreign = messages.iter().find(|message| !stored(message));
    ensure(foreign.is_none(), "D9 a poll returns messages of the own mailbox", || format!("{foreign:?}"))
}
