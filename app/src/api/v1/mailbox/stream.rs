use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use poem_openapi::ApiResponse;
use serde::Serialize;
use tokio::time::sleep;
use woosh_domain::model::{Cursor, SequenceNumber};
use woosh_domain::ports::MailboxPage;
use woosh_domain::use_cases::{ReadMailboxError, SessionCaller};

use super::event_stream::EventStream;
use super::read::to_poem_error;
use super::{Gap, Message};
use crate::api::limits::LimitError;
use crate::api::v1::problem::{Code, MailboxProblem, Problem};
use crate::budget::{Client, RESPONSE_BODIES};
use crate::logging::causes;
use crate::server::{HALF_CLOSED_WAIT, HangUp};
use crate::services::Services;

/// Maximum number of messages that the server reads at once for a stream. The server reads the next page only after the
/// connection has taken the previous page.
const PAGE_SIZE: usize = 100;
/// If nothing arrives for this time, the stream sends a heartbeat, so that proxies keep the connection open.
const HEARTBEAT: Duration = Duration::from_secs(25);
// Proxies close a connection that is silent for 60 seconds, by default. One heartbeat may be late.
const _: () = assert!(2 * HEARTBEAT.as_secs() < 60);

/// Delay before a stream retries to send a page, if unsent responses take too much memory (see `budget`).
const BACK_OFF: Duration = Duration::from_secs(1);

/// The heartbeat: a comment, which clients ignore.
const NOTHING_NEW: &str = ": nothing new\n\n";

#[derive(ApiResponse)]
pub(super) enum StreamMailboxReply {
    /// The event stream.
    #[oai(status = 200)]
    Ok(EventStream),
    /// `invalid_request`: `Last-Event-ID`, `after` or `incarnation` is invalid.
    #[oai(status = 400)]
    BadRequest(Problem),
    /// `cursor_ahead`: the sequence number in `Last-Event-ID` or `after` is higher than the newest sequence number of
    /// the mailbox. `mailbox_restored`: the incarnation in `Last-Event-ID` or `incarnation` is not the current
    /// incarnation of the mailbox, usually because the server was restored from a backup. In both cases, replace your
    /// stored sequence number and incarnation with the values of `acknowledged` and `incarnation` in this response,
    /// then reconnect.
    #[oai(status = 409)]
    #[expect(dead_code, reason = "returned as an error; declared for the document")]
    Conflict(MailboxProblem),
}

pub(super) async fn stream(
    context: Context,
    last_event_id: Option<&str>,
    requested: Cursor,
) -> poem::Result<StreamMailboxReply> {
    let resumed = match last_event_id.map(parse_event_id).transpose() {
        Ok(resumed) => resumed,
        Err(detail) => return Ok(StreamMailboxReply::BadRequest(Problem::new(Code::InvalidRequest, detail))),
    };
    let cursor = Cursor {
        after: resumed.and_then(|resumed| resumed.after).or(requested.after),
        incarnation: resumed.and_then(|resumed| resumed.incarnation).or(requested.incarnation),
    };
    // Reads the first page before the response starts, because an error can set the status of the response only until
    // then.
    let first = context.read(cursor, Duration::ZERO).await.map_err(to_poem_error)?;
    let cursor = end(&first);
    let first = RESPONSE_BODIES.charge(&context.client, events(first).into()).ok_or(LimitError::TooManyResponses)?;
    let reader = PageReader { context, cursor };
    let later = stream::unfold(reader, |mut reader| async {
        let events = reader.next().await?;
        Some((events, reader))
    });
    let chunks = stream::once(async { first }).chain(later).map(Ok);
    Ok(StreamMailboxReply::Ok(EventStream::new(chunks)))
}

/// Parses `Last-Event-ID`: the `id` of an event, or only its sequence number.
fn parse_event_id(header: &str) -> Result<Cursor, &'static str> {
    let (incarnation, number) = match header.trim().split_once('-') {
        Some((incarnation, number)) => (Some(incarnation), number),
        None => (None, header.trim()),
    };
    let number = number.parse().ok().filter(|number| *number >= 0).map(SequenceNumber::new);
    match (incarnation.map(str::parse).transpose(), number) {
        (Ok(incarnation), Some(number)) => Ok(Cursor { after: Some(number), incarnation }),
        _ => Err("Last-Event-ID has to be the id of an event, or a sequence number"),
    }
}

/// Returns the cursor of a reader that has received the whole page.
fn end(page: &MailboxPage) -> Cursor {
    Cursor { after: Some(page.up_to()), incarnation: Some(page.incarnation) }
}

/// What a stream needs to read the mailbox of its caller.
pub(super) struct Context {
    pub(super) services: Arc<Services>,
    pub(super) caller: SessionCaller,
    pub(super) client: Arc<Client>,
    pub(super) hang_up: HangUp,
}

impl Context {
    async fn read(&self, cursor: Cursor, wait: Duration) -> Result<MailboxPage, ReadMailboxError> {
        self.services.read_mailbox.execute(&self.caller, cursor, PAGE_SIZE, wait).await
    }
}

/// Reads the pages of a stream, one after another. Reads a page only after the connection has taken the previous page.
struct PageReader {
    context: Context,
    cursor: Cursor,
}

impl PageReader {
    /// Returns the events of the next page, or a heartbeat if nothing arrived within [`HEARTBEAT`]. Returns `None` to
    /// end the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let Context { services, client, hang_up, .. } = &self.context;
        if services.is_stopping() {
            return None;
        }
        // If the client has closed its sending side, it may still read, or be gone. Heartbeats find out: the operating
        // system of a client that is gone answers with a reset, which ends the connection.
        let read = match hang_up.is_closed() {
            true => self.context.read(self.cursor, HALF_CLOSED_WAIT).await,
            false => tokio::select! {
                read = self.context.read(self.cursor, HEARTBEAT) => read,
                () = hang_up.closed() => return Some(Bytes::from_static(NOTHING_NEW.as_bytes())),
            },
        };
        let page = read.inspect_err(log).ok()?;
        let cursor = end(&page);
        let Some(events) = RESPONSE_BODIES.charge(client, events(page).into()) else {
            // Drops the page and reads it again later, because keeping it would take the memory that is missing.
            sleep(BACK_OFF).await;
            return Some(Bytes::from_static(b": out of memory for now\n\n"));
        };
        self.cursor = cursor;
        Some(events)
    }
}

fn log(error: &ReadMailboxError) {
    if let ReadMailboxError::Port(error) = error {
        tracing::error!(%error, causes = causes(error), "mailbox stream failed");
    }
}

/// Formats a page as events in sequence order, or an empty page as the heartbeat.
fn events(page: MailboxPage) -> String {
    let incarnation = page.incarnation;
    let messages = page.envelopes.into_iter().map(|envelope| {
        let last = envelope.sequence;
        (last, "message", json(&Message::from(envelope)))
    });
    let gaps = page.gaps.into_iter().map(|gap| (gap.last, "gap", json(&Gap::from(gap))));
    let mut events: Vec<_> = messages.chain(gaps).collect();
    events.sort_by_key(|(last, ..)| *last);
    let mut text = String::new();
    for (last, event, data) in &events {
        // Writing to a string can't fail.
        let _ = write!(text, "id: {incarnation}-{}\nevent: {event}\ndata: {data}\n\n", last.get());
    }
    if events.is_empty() { NOTHING_NEW.to_owned() } else { text }
}

fn json(event: &impl Serialize) -> String {
    serde_json::to_string(event).unwrap_or_else(|error| unreachable!("strings and integers are JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::{self, Contents, Envelope, GapReason, Incarnation, MessageId, Timestamp, Username};

    fn envelope(sequence: i64) -> Envelope {
        let message = model::Message {
            id: MessageId::new(40 + sequence),
            sender: Username::new("bob").unwrap(),
            sender_device: None,
            recipient: Username::new("alice").unwrap(),
            contents: Contents::new("two\nlines".to_owned()).unwrap(),
            sent_at: Timestamp::EPOCH,
            expires_at: Timestamp::from_seconds(1),
        };
        Envelope { sequence: SequenceNumber::new(sequence), message }
    }

    fn gap(first: i64, last: i64) -> model::Gap {
        let (first, last) = (SequenceNumber::new(first), SequenceNumber::new(last));
        model::Gap { first, last, reason: GapReason::Expired }
    }

    fn page(envelopes: Vec<Envelope>, gaps: Vec<model::Gap>) -> MailboxPage {
        MailboxPage {
            incarnation: Incarnation::new(10),
            acknowledged: SequenceNumber::ZERO,
            last: SequenceNumber::ZERO,
            not_before: Timestamp::EPOCH,
            closed_at: Timestamp::EPOCH,
            envelopes,
            gaps,
            has_more: false,
        }
    }

    #[test]
    fn messages_and_gaps_are_in_sequence_order() {
        let envelopes = vec![envelope(3), envelope(4), envelope(7)];
        let text = events(page(envelopes, vec![gap(1, 2), gap(5, 6), gap(8, 8)]));
        let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: 000000000000000a-")).collect();
        assert_eq!(ids, ["2", "3", "4", "6", "7", "8"]);
        let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(kinds, ["gap", "message", "message", "gap", "message", "gap"]);
    }

    #[test]
    fn contents_with_line_breaks_stay_one_data_line() {
        let text = events(page(vec![envelope(1)], Vec::new()));
        assert_eq!(
            text,
            "id: 000000000000000a-1\nevent: message\ndata: {\"sequence\":1,\"id\":41,\"sender\":\"bob\",\"contents\":\"two\\nlines\",\
             \"sent_at\":\"1970-01-01T00:00:00.000000Z\",\"expires_at\":\"1970-01-01T00:00:01.000000Z\"}\n\n"
        );
        let text = events(page(Vec::new(), vec![gap(1, 2)]));
        assert_eq!(
            text,
            "id: 000000000000000a-2\nevent: gap\ndata: {\"first\":1,\"last\":2,\"reason\":\"expired\"}\n\n"
        );
    }

    #[test]
    fn an_empty_page_is_a_heartbeat() {
        assert!(events(page(Vec::new(), Vec::new())).starts_with(": "));
    }

    #[test]
    fn an_event_id_is_an_incarnation_and_a_sequence_number_or_only_the_number() {
        let cursor = |number, incarnation| Ok(Cursor { after: Some(SequenceNumber::new(number)), incarnation });
        assert_eq!(parse_event_id("0"), cursor(0, None));
        assert_eq!(parse_event_id(" 12 "), cursor(12, None));
        assert_eq!(parse_event_id("000000000000000a-12"), cursor(12, Some(Incarnation::new(10))));
        for header in [
            "",
            "-",
            "-1",
            "abc",
            "1.5",
            "99999999999999999999",
            "1, 2",
            "é",
            "1-2",
            "000000000000000a",
            "000000000000000a-",
            "000000000000000a--1",
            "000000000000000A-1",
            "000000000000000a-1, 000000000000000a-2",
        ] {
            assert!(parse_event_id(header).is_err(), "{header}");
        }
    }
}
