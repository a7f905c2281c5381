use std::io;

use bytes::Bytes;
use futures_util::stream::{BoxStream, Stream, StreamExt as _};
use poem::http::header;
use poem::{Body, IntoResponse};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type as _;

use super::{Gap, Message};

/// The name of the schema of the `data` of an event.
const EVENT: &str = "StreamEvent";

/// A response body of [server-sent events](https://html.spec.whatwg.org/multipage/server-sent-events.html).
pub(super) struct EventStream(BoxStream<'static, io::Result<Bytes>>);

impl EventStream {
    /// Creates the body from parts of its text.
    pub(super) fn new(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        Self(chunks.boxed())
    }
}

impl Payload for EventStream {
    const CONTENT_TYPE: &'static str = "text/event-stream";

    /// Returns the schema of the `data` of one event, because OpenAPI can't describe a sequence of events. Generators
    /// that know event streams expect this schema.
    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(EVENT.to_owned())
    }

    fn register(registry: &mut Registry) {
        Message::register(registry);
        Gap::register(registry);
        registry.create_schema::<Self, _>(EVENT.to_owned(), |_| MetaSchema {
            description: Some(
                "The `data` of one event: a `Message` if the type of the event is `message`, a `Gap` if the type is \
                 `gap`.",
            ),
            one_of: vec![Message::schema_ref(), Gap::schema_ref()],
            ..MetaSchema::ANY
        });
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> poem::Response {
        poem::Response::builder()
            .content_type(Self::CONTENT_TYPE)
            .header(header::CACHE_CONTROL, "no-cache")
            // Asks proxies such as nginx not to buffer events.
            .header("X-Accel-Buffering", "no")
            .body(Body::from_bytes_stream(self.0))
    }
}
