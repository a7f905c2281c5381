use std::time::Duration;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{ApiResponse, Object};
use woosh_domain::model::SequenceNumber;
use woosh_domain::ports;
use woosh_domain::use_cases::{ReadMailbox, ReadMailboxError, SessionCaller};

use super::{Gap, Message};
use crate::api::errors::PortFailed;
use crate::api::limits::Deadline;
use crate::api::v1::problem::Problem;
use crate::api::v1::values::Integer;
use crate::services::Services;

pub(super) type Limit = Integer<1, { ReadMailbox::MAX_COUNT as i64 }>;
pub(super) type Wait = Integer<0, { ReadMailbox::MAX_WAIT.as_secs() as i64 }>;

pub(super) fn default_limit() -> Limit {
    Integer(100)
}

pub(super) fn default_wait() -> Wait {
    Integer(0)
}

/// The next messages of a mailbox.
#[derive(Object)]
#[oai(rename = "MailboxPage", example)]
pub(super) struct Page {
    /// The messages, in the order of their sequence numbers.
    messages: Vec<Message>,
    /// The sequence numbers up to `up_to` whose messages are gone unread, until they are acknowledged.
    gaps: Vec<Gap>,
    /// All up to this sequence number is acknowledged.
    acknowledged: i64,
    /// All of this answer is at or below this sequence number, and all that is to come is above: acknowledge it when the
    /// answer is processed, or read on `after` it.
    up_to: i64,
    /// Whether there are messages beyond these already.
    has_more: bool,
}

impl From<ports::MailboxPage> for Page {
    fn from(page: ports::MailboxPage) -> Self {
        Self {
            acknowledged: page.acknowledged.get(),
            up_to: page.up_to().get(),
            has_more: page.has_more,
            messages: page.envelopes.into_iter().map(Message::from).collect(),
            gaps: page.gaps.into_iter().map(Gap::from).collect(),
        }
    }
}

impl Example for Page {
    fn example() -> Self {
        Self { messages: vec![Message::example()], gaps: Vec::new(), acknowledged: 0, up_to: 1, has_more: false }
    }
}

#[derive(ApiResponse)]
pub(super) enum Response {
    /// The messages; none where there is none, also after the wait.
    #[oai(status = 200)]
    Ok(Json<Page>),
    /// `invalid_request`: a parameter is wrong.
    #[oai(status = 400)]
    #[expect(dead_code, reason = "given where the parameters are read; here for the document")]
    BadRequest(Problem),
}

pub(super) async fn read(
    services: &Services,
    asking: &SessionCaller,
    deadline: &Deadline,
    after: Option<Integer<0>>,
    limit: Limit,
    wait: Wait,
) -> poem::Result<Response> {
    let after = after.map(|after| SequenceNumber::new(after.0));
    let wait = Duration::from_secs(wait.unsigned());
    deadline.extend(wait);
    let page = services.read_mailbox.execute(asking, after, limit.unsigned(), wait).await.map_err(refusal)?;
    Ok(Response::Ok(Json(page.into())))
}

/// What a reader gets to know of an error.
pub(super) fn refusal(error: ReadMailboxError) -> poem::Error {
    match error {
        ReadMailboxError::SessionEnded => Problem::unauthenticated().into(),
        ReadMailboxError::Port(error) => PortFailed::from(error).into(),
    }
}
