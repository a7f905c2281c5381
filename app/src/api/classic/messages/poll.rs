use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::{Example, Type};
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;
use woosh_domain::model::Message;
use woosh_domain::ports::PortError;
use woosh_domain::use_cases::{Caller, Poll, RestOfSecond};

use super::{ClassicMessage, example_time};
use crate::api::errors::PortFailed;
use crate::api::json_response::JsonResponse;
use crate::api::limits::LimitError;
use crate::budget::{Client, RESPONSE_BODIES};
use crate::logging::causes;
use crate::services::Services;

/// A page of pending messages.
#[derive(Debug, Object, Serialize)]
#[oai(example)]
pub(super) struct ClassicMessagePage {
    /// Unix time in seconds. The page has all pending messages that were sent before this time. When you have processed
    /// these messages, pass `query_time` as `until` to `classicDeleteMessages` to delete them.
    query_time: i64,
    /// Messages, oldest first.
    messages: Vec<ClassicMessage>,
}

impl ClassicMessagePage {
    fn new(query_time: i64, messages: Vec<Message>) -> Self {
        Self { query_time, messages: messages.into_iter().map(ClassicMessage::from).collect() }
    }
}

impl Example for ClassicMessagePage {
    fn example() -> Self {
        Self { query_time: example_time() + 1, messages: vec![ClassicMessage::example()] }
    }
}

#[derive(ApiResponse)]
pub(super) enum ClassicPollMessagesReply {
    /// The oldest pending messages. The list `messages` is empty if no message is pending.
    #[oai(status = 200)]
    Ok(PageBody),
}

/// A page as JSON. It contains all pending messages sent before `query_time`, which is a whole second. If too many
/// messages were sent within one second to read them at once, the server reads and sends the page in parts.
pub(super) enum PageBody {
    Whole(ClassicMessagePage),
    Parts(BoxStream<'static, io::Result<Bytes>>),
}

impl Payload for PageBody {
    const CONTENT_TYPE: &'static str = <JsonResponse<ClassicMessagePage> as Payload>::CONTENT_TYPE;

    fn schema_ref() -> MetaSchemaRef {
        ClassicMessagePage::schema_ref()
    }

    fn register(registry: &mut Registry) {
        ClassicMessagePage::register(registry);
    }
}

impl IntoResponse for PageBody {
    fn into_response(self) -> Response {
        match self {
            Self::Whole(page) => JsonResponse(page).into_response(),
            Self::Parts(parts) => {
                Response::builder().content_type(Self::CONTENT_TYPE).body(Body::from_bytes_stream(parts))
            }
        }
    }
}

pub(super) async fn poll(
    services: &Arc<Services>,
    caller: Caller,
    client: &Arc<Client>,
) -> poem::Result<ClassicPollMessagesReply> {
    let Poll { messages, rest, query_time } =
        services.poll_messages.execute(&caller).await.map_err(PortFailed::from)?;
    let page = ClassicMessagePage::new(query_time, messages);
    Ok(ClassicPollMessagesReply::Ok(match rest {
        None => PageBody::Whole(page),
        Some(rest) => {
            let reader =
                Reader { services: services.clone(), caller, client: client.clone(), rest: Some(rest), ended: false };
            PageBody::Parts(parts(&page, reader)?)
        }
    }))
}

/// Returns the JSON text of a page in parts: `first`, which was read already, then the parts that `reader` reads.
fn parts(first: &ClassicMessagePage, reader: Reader) -> poem::Result<BoxStream<'static, io::Result<Bytes>>> {
    let first = serde_json::to_string(first).map_err(poem::error::InternalServerError)?;
    // The array of messages is the last field of the page. It stays open here, and the last part closes it.
    let first = first.strip_suffix("]}").unwrap_or(&first).to_owned().into();
    let first = RESPONSE_BODIES.charge(&reader.client, first).ok_or(LimitError::TooManyResponses)?;
    let more = stream::unfold(reader, |mut reader| async {
        let part = reader.next().await.transpose()?;
        Some((part.inspect_err(log).map_err(io::Error::other), reader))
    });
    Ok(stream::once(async { Ok(first) }).chain(more).boxed())
}

/// Reads the parts of a page after the first part. Reads a part only after the connection has taken the previous part,
/// so that the parts do not fill the memory.
struct Reader {
    services: Arc<Services>,
    caller: Caller,
    client: Arc<Client>,
    rest: Option<RestOfSecond>,
    ended: bool,
}

impl Reader {
    /// Returns the next part of the JSON, or `None` after the last part.
    async fn next(&mut self) -> Result<Option<Bytes>, PortError> {
        let Some(rest) = self.rest.take() else {
            return Ok((!std::mem::replace(&mut self.ended, true)).then(|| Bytes::from_static(b"]}")));
        };
        let (messages, rest) = self.services.poll_messages.next(&self.caller, rest).await?;
        let mut part = Vec::new();
        for message in messages {
            part.push(b',');
            serde_json::to_writer(&mut part, &ClassicMessage::from(message)).map_err(PortError::fault)?;
        }
        let part = RESPONSE_BODIES.charge(&self.client, part.into());
        self.rest = rest;
        Ok(Some(part.ok_or_else(|| PortError::unavailable(LimitError::TooManyResponses))?))
    }
}

fn log(error: &PortError) {
    tracing::error!(%error, causes = causes(error), "poll failed while its page was sent");
}
