mod acknowledge;
mod event_stream;
mod read;
mod stream;
mod stream_ticket;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use woosh_domain::model::{self, Envelope, Incarnation};

use super::auth::{StreamCaller, TokenCaller};
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
    /// Returns the oldest pending messages of the calling device, in sequence order. A message is pending until it is
    /// acknowledged or expires. To wait for a message if none is pending (long polling), set `wait`. Reading never
    /// deletes messages. To delete messages that you have processed, acknowledge them with `acknowledgeMailbox`.
    ///
    /// A gap stands for messages that expired unread, or were not stored because the mailbox was full. A page has at
    /// most `limit` messages, at most 1000 gaps, and at most 1 MiB of JSON. If messages are pending, the page has at
    /// least one message, except if 1000 gaps precede the first pending message. Such a page has only gaps, and its
    /// `has_more` is true.
    #[oai(path = "/", method = "get", operation_id = "readMailbox")]
    #[expect(clippy::too_many_arguments, reason = "each is a part of the request")]
    async fn read(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        deadline: Data<&Deadline>,
        /// Return messages after this sequence number. Defaults to the last acknowledged sequence number.
        after: Query<Option<Integer<0>>>,
        /// The incarnation that the client received together with `after`: the `incarnation` of the response, or the
        /// first part of the `id` of the event. If it is not the current incarnation of the mailbox, the request fails
        /// with `mailbox_restored`. If this parameter is absent, the server does not check the incarnation: after the
        /// server was restored from a backup, the client may then miss messages.
        incarnation: Query<Option<Text<Incarnation>>>,
        /// Maximum number of messages to return.
        #[oai(default = "read::default_limit")]
        limit: Query<read::PageLimit>,
        /// Maximum number of seconds to wait for a message if no message after `after` is pending. The server responds
        /// as soon as a message arrives. If the client closes its sending side of the connection during the wait, the
        /// server waits for 5 more seconds, or for the rest of `wait` if this is shorter. If no message arrives in this
        /// time, the server responds with a page without messages.
        #[oai(default = "read::default_wait")]
        wait: Query<read::WaitSeconds>,
    ) -> Result<read::ReadMailboxReply> {
        let cursor = read::cursor(after.0, incarnation.0);
        read::read(&services, &caller.0, &deadline, cursor, limit.0, wait.0).await
    }

    /// Acknowledge messages
    ///
    /// Confirms that the client has processed all messages up to a sequence number. The server deletes these messages.
    /// Repeating the request, or acknowledging a lower number, changes nothing.
    #[oai(path = "/ack", method = "post", operation_id = "acknowledgeMailbox")]
    async fn acknowledge(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        body: Body<acknowledge::AcknowledgeMailboxRequest>,
    ) -> Result<acknowledge::AcknowledgeMailboxReply> {
        acknowledge::acknowledge(&services, &caller.0.caller, &body.0).await
    }

    /// Create a stream ticket
    ///
    /// Returns a ticket that opens one event stream in place of the bearer token. The ticket expires after 30 seconds.
    /// Create a ticket if the client can't send headers with the request for the stream. For example, `EventSource` in
    /// browsers can't send headers. If the session already has 16 unused tickets, the server deletes the ticket that
    /// expires first.
    #[oai(path = "/stream-tickets", method = "post", operation_id = "createStreamTicket")]
    async fn create_stream_ticket(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
    ) -> Result<stream_ticket::CreateStreamTicketReply> {
        stream_ticket::create(&services, &caller.0).await
    }

    /// Stream the mailbox
    ///
    /// Streams the mailbox of the calling device as server-sent events, in sequence order. The `data` of a `message`
    /// event is a `Message` as JSON. The `data` of a `gap` event is a `Gap` as JSON. The stream ends when the session
    /// ends or the server stops. Streaming never deletes messages. To delete messages that you have processed,
    /// acknowledge them with `acknowledgeMailbox`.
    ///
    /// The `id` of an event is the incarnation of the mailbox, a hyphen, and a sequence number, such as
    /// `5f0c1d7a93be4826-12`. In a `gap` event, this is the sequence number `last` of the gap. To resume after an
    /// event, reconnect with its `id` in `Last-Event-ID`, or with the two parts of its `id` in `incarnation` and
    /// `after`. If no message arrives for 25 seconds, the server sends a comment, which clients ignore, so that proxies
    /// keep the connection open.
    ///
    /// In a browser, read the stream with `fetch`, which can send the bearer token in the header `Authorization`. Or
    /// open the stream with `EventSource`, which can't send this header: create a ticket with `createStreamTicket`, and
    /// pass the ticket as the parameter `ticket`. A ticket opens one stream, so `EventSource` can't reconnect by
    /// itself. When an `EventSource` reports an error, close it, create a new ticket, and open a new `EventSource` with
    /// the new ticket, and with `incarnation` and `after` from the `id` of the last event. Never put the bearer token
    /// into a URL.
    #[oai(path = "/stream", method = "get", operation_id = "streamMailbox")]
    #[expect(clippy::too_many_arguments, reason = "each is a parameter or a context of the operation")]
    async fn stream(
        &self,
        caller: StreamCaller,
        services: Data<&Arc<Services>>,
        client: Data<&Arc<Client>>,
        hang_up: Data<&HangUp>,
        /// The `id` of the last event that the client received. The stream resumes after this event, and the server
        /// ignores the parameters `after` and `incarnation`. If the client sends the sequence number of the event
        /// instead of its `id`, the server ignores only `after`, and uses `incarnation`.
        #[oai(name = "Last-Event-ID", validator(pattern = "^([0-9a-f]{16}-)?[0-9]{1,18}$"))]
        last_event_id: HeaderText,
        /// Stream messages after this sequence number. Defaults to the last acknowledged sequence number.
        after: Query<Option<Integer<0>>>,
        /// The incarnation that the client received together with `after`: the `incarnation` of the response, or the
        /// first part of the `id` of the event. If it is not the current incarnation of the mailbox, the request fails
        /// with `mailbox_restored`. If this parameter is absent, the server does not check the incarnation: after the
        /// server was restored from a backup, the client may then miss messages.
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
    /// Sequence number of the message in its mailbox: 1, 2, 3 and so on. Unique within an incarnation of the mailbox.
    sequence: i64,
    /// Identifier of the message. All copies of the message, in all mailboxes, have the same identifier. The sender
    /// received the same identifier in the response to its send.
    id: i64,
    /// Username of the sender.
    sender: String,
    /// Identifier of the device that sent the message. Absent if the message was stored by an old version of the
    /// server, which did not record the device.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    sender_device_id: Option<i64>,
    /// Encrypted contents, byte for byte as sent.
    contents: String,
    /// When the message was stored.
    sent_at: Time,
    /// When the message expires if it is not acknowledged before.
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

/// A range of sequence numbers whose messages expired unread, or were not stored because the mailbox was full.
#[derive(Object, Serialize)]
struct Gap {
    /// First sequence number of the gap.
    first: i64,
    /// Last sequence number of the gap, inclusive.
    last: i64,
    reason: GapReason,
}

/// Why the messages of a gap are gone. `expired`: they expired before they were acknowledged. `mailbox_full`: they were
/// not stored, because the mailbox was full.
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
