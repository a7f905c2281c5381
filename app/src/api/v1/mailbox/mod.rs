mod acknowledge;
mod read;
mod stream;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use woosh_domain::model::{self, Envelope, Incarnation};

use super::auth::TokenCaller;
use super::header::HeaderText;
use super::values::{Integer, Text, Time};
use crate::api::Group;
use crate::api::body::Body;
use crate::api::limits::Deadline;
use crate::api::query::Query;
use crate::budget::Client;
use crate::server::HangUp;
use crate::services::Services;

/// Mailbox operations of v1.
pub(in crate::api) struct MailboxApi;

#[OpenApi(prefix_path = "/v1/mailbox", tag = "Group::Mailbox")]
impl MailboxApi {
    /// Read the mailbox
    ///
    /// Returns the oldest pending messages of the calling device in sequence order. A page has at most `limit`
    /// messages, and fewer if the messages are large: it takes at most 1 MiB as JSON. It has at most 1000 gaps. If any
    /// message is pending, the page has at least one, unless 1000 gaps come first. Set `wait` to long-poll. Reading never deletes messages: acknowledge them with `acknowledgeMailbox`. Messages that were
    /// lost unread are reported in `gaps`.
    #[oai(path = "/", method = "get", operation_id = "readMailbox")]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn read(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        deadline: Data<&Deadline>,
        /// Return messages after this sequence number. Defaults to the last acknowledged sequence number.
        after: Query<Option<Integer<0>>>,
        /// Incarnation of the page or event that had the sequence number `after`.
        incarnation: Query<Option<Text<Incarnation>>>,
        /// Maximum number of messages to return.
        #[oai(default = "read::default_limit")]
        limit: Query<read::PageLimit>,
        /// Seconds to wait for a message if none is pending. If the client closes its side of the connection, it gets a
        /// page a few seconds later.
        #[oai(default = "read::default_wait")]
        wait: Query<read::WaitSeconds>,
    ) -> Result<read::ReadMailboxReply> {
        let cursor = read::cursor(after.0, incarnation.0);
        read::read(&services, &caller.0, &deadline, cursor, limit.0, wait.0).await
    }

    /// Acknowledge messages
    ///
    /// Confirms that all messages up to a sequence number are processed, and deletes these messages. Idempotent:
    /// repeating the request, or acknowledging a lower number, changes nothing.
    #[oai(path = "/ack", method = "post", operation_id = "acknowledgeMailbox")]
    async fn acknowledge(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        body: Body<acknowledge::AcknowledgeMailboxRequest>,
    ) -> Result<acknowledge::AcknowledgeMailboxReply> {
        acknowledge::acknowledge(&services, &caller.0.caller, &body.0).await
    }

    /// Stream the mailbox
    ///
    /// Streams the mailbox of the calling device as server-sent events in sequence order. A `message` event has a
    /// `Message` as JSON in `data`, a `gap` event has a `Gap`. The `id` of an event is the incarnation of the mailbox, a
    /// hyphen, and the sequence number of the message or the `last` number of the gap, such as `5f0c1d7a93be4826-12`.
    /// Comments serve as heartbeats. The stream ends when the session ends or the server stops. To resume, reconnect with
    /// `Last-Event-ID`; `EventSource` does this automatically. Streaming never deletes messages: acknowledge them with
    /// `acknowledgeMailbox`.
    #[oai(path = "/stream", method = "get", operation_id = "streamMailbox")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter or a context of the operation")]
    async fn stream(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        client: Data<&Arc<Client>>,
        hang_up: Data<&HangUp>,
        /// Resume after this event, given by its `id` or only by its sequence number. Takes precedence over `after`, and an
        /// incarnation in it over `incarnation`.
        #[oai(name = "Last-Event-ID", validator(pattern = "^([0-9a-f]{16}-)?[0-9]{1,18}$"))]
        last_event_id: HeaderText,
        /// Stream messages after this sequence number. Defaults to the last acknowledged sequence number.
        after: Query<Option<Integer<0>>>,
        /// Incarnation of the page or event that had the sequence number `after`.
        incarnation: Query<Option<Text<Incarnation>>>,
    ) -> Result<stream::StreamMailboxReply> {
        let context = stream::Context {
            services: services.0.clone(),
            caller: caller.0,
            client: client.0.clone(),
            hang_up: hang_up.0.clone(),
        };
        stream::stream(context, last_event_id.0.as_deref(), read::cursor(after.0, incarnation.0)).await
    }
}

/// A message in a mailbox.
#[derive(Object, Serialize)]
#[oai(example)]
struct Message {
    /// Sequence number in the mailbox: 1, 2, 3 and so on. No number is used twice.
    sequence: i64,
    /// Identifier of the send. The copies of the message in all mailboxes have the same identifier.
    id: i64,
    /// Username of the sender.
    sender: String,
    /// Identifier of the device that sent the message. Absent if the server has not recorded the device.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_device_id: Option<i64>,
    /// Encrypted contents, byte for byte as sent.
    contents: String,
    /// When the message was stored.
    sent_at: Time,
    /// When the message expires, unless it is acknowledged before then.
    expires_at: Time,
}

impl From<Envelope> for Message {
    fn from(Envelope { sequence, message }: Envelope) -> Self {
        Self {
            sequence: sequence.get(),
            id: message.id.get(),
            sender: message.sender.to_string(),
            sender_device_id: message.sender_device.map(model::DeviceId::get),
            contents: message.contents.into_string(),
            sent_at: message.sent_at.into(),
            expires_at: message.expires_at.into(),
        }
    }
}

impl Example for Message {
    fn example() -> Self {
        Self {
            sequence: 1,
            id: 1,
            sender: "alice".to_owned(),
            sender_device_id: Some(1),
            contents: "ciphertext".to_owned(),
            sent_at: Time::example(),
            expires_at: Time::example(),
        }
    }
}

/// A range of sequence numbers whose messages were lost unread.
#[derive(Object, Serialize)]
struct Gap {
    /// First sequence number of the gap.
    first: i64,
    /// Last sequence number of the gap, inclusive.
    last: i64,
    reason: GapReason,
}

/// Why the messages are lost. `expired`: they expired unread. `mailbox_full`: they were not stored, because the mailbox
/// was full.
#[derive(Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
enum GapReason {
    Expired,
    MailboxFull,
}

impl From<model::Gap> for Gap {
    fn from(gap: model::Gap) -> Self {
        let reason = match gap.reason {
            model::GapReason::Expired => GapReason::Expired,
            model::GapReason::MailboxFull => GapReason::MailboxFull,
        };
        Self { first: gap.first.get(), last: gap.last.get(), reason }
    }
}
