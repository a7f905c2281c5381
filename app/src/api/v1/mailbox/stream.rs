use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use poem::http::header;
use poem::{Body, IntoResponse};
use poem_openapi::ApiResponse;
use poem_openapi::payload::Payload;
use poem_openapi::registry::MetaSchemaRef;
use poem_openapi::types::{ToJSON, Type as _};
use woosh_domain::model::SequenceNumber;
use woosh_domain::ports::MailboxPage;
use woosh_domain::use_cases::{ReadMailboxError, SessionCaller};

use super::read::refusal;
use super::{Gap, Message};
use crate::api::v1::problem::{Code, Problem};
use crate::api::v1::values::Integer;
use crate::logging::causes;
use crate::services::Services;

/// The most messages that are read ahead of the client.
const COUNT: usize = 100;
/// How long there is nothing before a heartbeat comes, so that whoever is in between sees that the stream goes on.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// [Server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
pub(super) struct EventStream(BoxStream<'static, io::Result<Bytes>>);

impl Payload for EventStream {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    fn schema_ref() -> MetaSchemaRef {
        String::schema_ref()
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> poem::Response {
        poem::Response::builder()
            .content_type(Self::CONTENT_TYPE)
            .header(header::CACHE_CONTROL, "no-cache")
            // Or a proxy may keep events to itself until it has many.
            .header("X-Accel-Buffering", "no")
            .body(Body::from_bytes_stream(self.0))
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The events.
    #[oai(status = 200)]
    Ok(EventStream),
    /// `invalid_request`: `Last-Event-ID` or a parameter is wrong.
    #[oai(status = 400)]
    BadRequest(Problem),
}

pub(super) async fn stream(
    services: Arc<Services>,
    asking: SessionCaller,
    last_event_id: Option<&str>,
    after: Option<Integer<0>>,
) -> poem::Result<Response> {
    let resumed = match last_event_id.map(parse_event_id).transpose() {
        Ok(resumed) => resumed,
        Err(detail) => return Ok(Response::BadRequest(Problem::new(Code::InvalidRequest, detail))),
    };
    let after = resumed.or(after.map(|after| SequenceNumber::new(after.0)));
    // What is there already comes at once, and an error of it is not a stream that ends.
    let first = services.read_mailbox.execute(&asking, after, COUNT, Duration::ZERO).await.map_err(refusal)?;
    let reader = Reader { services, asking, after: after.unwrap_or(SequenceNumber::ZERO).max(first.up_to()) };
    let later = stream::unfold(reader, |mut reader| async {
        let page = reader.next().await?;
        Some((page, reader))
    });
    let chunks = stream::once(async { first }).chain(later).map(|page| Ok(events(page).into()));
    Ok(Response::Ok(EventStream(chunks.boxed())))
}

fn parse_event_id(header: &str) -> Result<SequenceNumber, &'static str> {
    let number = header.trim().parse().ok().filter(|number| *number >= 0);
    number.map(SequenceNumber::new).ok_or("Last-Event-ID has to be a sequence number")
}

/// Reads page after page, each when the client has taken the one before.
struct Reader {
    services: Arc<Services>,
    asking: SessionCaller,
    after: SequenceNumber,
}

impl Reader {
    /// The next page, empty where nothing came for a while; none where the stream ends.
    async fn next(&mut self) -> Option<MailboxPage> {
        if self.services.is_stopping() {
            return None;
        }
        let read = self.services.read_mailbox.execute(&self.asking, Some(self.after), COUNT, HEARTBEAT).await;
        let page = read.inspect_err(log).ok()?;
        self.after = self.after.max(page.up_to());
        Some(page)
    }
}

fn log(error: &ReadMailboxError) {
    if let ReadMailboxError::Port(error) = error {
        tracing::error!(%error, causes = causes(error), "a stream broke off");
    }
}

/// The events of a page in the order of their sequence numbers; of an empty one a comment, as heartbeat.
fn events(page: MailboxPage) -> String {
    let messages = page.envelopes.into_iter().map(|envelope| {
        let last = envelope.sequence;
        (last, "message", Message::from(envelope).to_json_string())
    });
    let gaps = page.gaps.into_iter().map(|gap| (gap.last, "gap", Gap::from(gap).to_json_string()));
    let mut events: Vec<_> = messages.chain(gaps).collect();
    events.sort_by_key(|(last, ..)| *last);
    let mut text = String::new();
    for (last, event, data) in &events {
        // Writing to a string does not fail.
        let _ = write!(text, "id: {}\nevent: {event}\ndata: {data}\n\n", last.get());
    }
    if events.is_empty() { ": nothing new\n\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::{self, Contents, Envelope, GapReason, MessageId, Timestamp, Username};

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

    #[test]
    fn messages_and_gaps_come_in_the_order_of_their_sequence_numbers() {
        let envelopes = vec![envelope(3), envelope(4), envelope(7)];
        let text = events(MailboxPage { envelopes, gaps: vec![gap(1, 2), gap(5, 6), gap(8, 8)], ..MailboxPage::EMPTY });
        let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
        assert_eq!(ids, ["2", "3", "4", "6", "7", "8"]);
        let kinds: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        assert_eq!(kinds, ["gap", "message", "message", "gap", "message", "gap"]);
    }

    #[test]
    fn an_event_is_four_lines_whatever_the_contents() {
        let text = events(MailboxPage { envelopes: vec![envelope(1)], ..MailboxPage::EMPTY });
        assert_eq!(
            text,
            "id: 1\nevent: message\ndata: {\"sequence\":1,\"id\":41,\"sender\":\"bob\",\"contents\":\"two\\nlines\",\
             \"sent_at\":\"1970-01-01T00:00:00.000000Z\",\"expires_at\":\"1970-01-01T00:00:01.000000Z\"}\n\n"
        );
        let text = events(MailboxPage { gaps: vec![gap(1, 2)], ..MailboxPage::EMPTY });
        assert_eq!(text, "id: 2\nevent: gap\ndata: {\"first\":1,\"last\":2,\"reason\":\"expired\"}\n\n");
    }

    #[test]
    fn an_empty_page_is_a_heartbeat() {
        assert!(events(MailboxPage::EMPTY).starts_with(": "));
    }

    #[test]
    fn an_event_id_that_is_no_sequence_number_is_refused() {
        assert_eq!(parse_event_id("0"), Ok(SequenceNumber::ZERO));
        assert_eq!(parse_event_id(" 12 "), Ok(SequenceNumber::new(12)));
        for header in ["", "-1", "abc", "1.5", "99999999999999999999", "1, 2", "é"] {
            assert!(parse_event_id(header).is_err(), "{header}");
        }
    }
}
