use std::time::Duration;

use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use woosh_domain::model::{Cursor, CursorError, Incarnation, SequenceNumber};
use woosh_domain::ports;
use woosh_domain::use_cases::{ReadMailbox, ReadMailboxError, SessionCaller};

use super::{Gap, Message};
use crate::api::errors::PortFailed;
use crate::api::json_response::JsonResponse;
use crate::api::limits::Deadline;
use crate::api::v1::problem::{Code, MailboxProblem, Problem};
use crate::api::v1::values::{Integer, Text};
use crate::services::Services;

pub(super) type PageLimit = Integer<1, { ReadMailbox::MAX_COUNT as i64 }>;
pub(super) type WaitSeconds = Integer<0, { ReadMailbox::MAX_WAIT.as_secs() as i64 }>;

pub(super) fn default_limit() -> PageLimit {
    Integer(100)
}

pub(super) fn default_wait() -> WaitSeconds {
    Integer(0)
}

/// A page of a mailbox.
#[derive(Object, Serialize)]
#[oai(example)]
pub(super) struct MailboxPage {
    /// Messages in sequence order.
    messages: Vec<Message>,
    /// Gaps up to `up_to`, at most 1000, in sequence order. A gap stands for messages that expired unread, or were not
    /// stored because the mailbox was full. Like a message, a gap is reported until it is acknowledged.
    gaps: Vec<Gap>,
    /// Current incarnation of the mailbox. Store it with `up_to`. To read on, pass it as `incarnation`.
    incarnation: Text<Incarnation>,
    /// Last acknowledged sequence number. 0 if nothing was acknowledged yet.
    acknowledged: i64,
    /// Last sequence number that this page covers. When you have processed the page, acknowledge this number. To read
    /// on, pass it as `after`.
    up_to: i64,
    /// Whether more messages or gaps are pending after this page.
    has_more: bool,
}

impl From<ports::MailboxPage> for MailboxPage {
    fn from(page: ports::MailboxPage) -> Self {
        Self {
            incarnation: Text(page.incarnation),
            acknowledged: page.acknowledged.get(),
            up_to: page.up_to().get(),
            has_more: page.has_more,
            messages: page.envelopes.into_iter().map(Message::from).collect(),
            gaps: page.gaps.into_iter().map(Gap::from).collect(),
        }
    }
}

impl Example for MailboxPage {
    fn example() -> Self {
        Self {
            messages: vec![Message::example()],
            gaps: Vec::new(),
            incarnation: Text::example(),
            acknowledged: 0,
            up_to: 1,
            has_more: false,
        }
    }
}

#[derive(ApiResponse)]
pub(super) enum ReadMailboxReply {
    /// A page of the mailbox. If no message is pending and none arrives during `wait`, the page has no messages.
    #[oai(status = 200)]
    Ok(JsonResponse<MailboxPage>),
    /// `invalid_request`: `after`, `incarnation`, `limit` or `wait` is invalid.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "returned by the parameter parser; declared for the OpenAPI document")]
    BadRequest(Problem),
    /// `cursor_ahead`: `after` is higher than the newest sequence number of the mailbox. `mailbox_restored`:
    /// `incarnation` is not the current incarnation of the mailbox, usually because the server was restored from a
    /// backup. In both cases, replace your stored sequence number and incarnation with the values of `acknowledged` and
    /// `incarnation` in this response, then read again.
    #[oai(status = 409)]
    #[expect(dead_code, reason = "returned as an error; declared for the document")]
    Conflict(MailboxProblem),
}

pub(super) async fn read(
    services: &Services,
    caller: &SessionCaller,
    deadline: &Deadline,
    cursor: Cursor,
    limit: PageLimit,
    wait: WaitSeconds,
) -> poem::Result<ReadMailboxReply> {
    let wait = Duration::from_secs(wait.unsigned());
    deadline.extend(wait);
    let read = |wait| services.read_mailbox.execute(caller, cursor, limit.unsigned(), wait);
    let page = tokio::select! {
        page = read(wait) => page,
        () = deadline.client_waited(), if !wait.is_zero() => read(Duration::ZERO).await,
    };
    let page = page.map_err(to_poem_error)?;
    Ok(ReadMailboxReply::Ok(JsonResponse(page.into())))
}

/// Creates the cursor that the query parameters describe.
pub(super) fn cursor(after: Option<Integer<0>>, incarnation: Option<Text<Incarnation>>) -> Cursor {
    Cursor {
        after: after.map(|after| SequenceNumber::new(after.0)),
        incarnation: incarnation.map(|incarnation| incarnation.0),
    }
}

/// Converts an error of the use case to the response that the client receives.
pub(super) fn to_poem_error(error: ReadMailboxError) -> poem::Error {
    match error {
        ReadMailboxError::SessionEnded => Problem::unauthenticated().into(),
        ReadMailboxError::Cursor(error) => {
            let (code, position) = match error {
                CursorError::Ahead(position) => (Code::CursorAhead, position),
                CursorError::OtherIncarnation(position) => (Code::MailboxRestored, position),
            };
            MailboxProblem::new(code, error, position).into()
        }
        ReadMailboxError::Port(error) => PortFailed::from(error).into(),
    }
}
