mod acknowledge;
mod read;
mod stream;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};
use woosh_domain::model::{self, Envelope};

use super::auth::TokenCaller;
use super::header::HeaderText;
use super::values::{Integer, Time};
use crate::api::Group;
use crate::api::body::Body;
use crate::api::limits::Deadline;
use crate::services::Services;

/// Mailboxes of v1.
pub(in crate::api) struct MailboxApi;

#[OpenApi(prefix_path = "/v1/mailbox", tag = "Group::Mailbox")]
impl MailboxApi {
    /// Read the mailbox
    ///
    /// The oldest messages of the device that asks, in the order of their sequence numbers: at most `limit`, fewer where
    /// they are large, and one at least where there is any. Reading deletes nothing; `acknowledgeMailbox` does. A sequence
    /// number whose message is gone unread is in one of the `gaps`.
    #[oai(path = "/", method = "get", operation_id = "readMailbox")]
    async fn read(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        deadline: Data<&Deadline>,
        /// Read what comes after this sequence number; after what is acknowledged where nothing is said.
        after: Query<Option<Integer<0>>>,
        /// The most messages of an answer.
        #[oai(default = "read::default_limit")]
        limit: Query<read::Limit>,
        /// How many seconds to wait for a message where there is none.
        #[oai(default = "read::default_wait")]
        wait: Query<read::Wait>,
    ) -> Result<read::Response> {
        read::read(&services, &caller.0, &deadline, after.0, limit.0, wait.0).await
    }

    /// Acknowledge messages
    ///
    /// Says that all up to a sequence number is safely processed, and deletes it. Repeating it, or acknowledging less,
    /// changes nothing.
    #[oai(path = "/ack", method = "post", operation_id = "acknowledgeMailbox")]
    async fn acknowledge(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        body: Body<acknowledge::AcknowledgeOutcome>,
    ) -> Result<acknowledge::Response> {
        acknowledge::acknowledge(&services, &caller.0.caller, &body.0).await
    }

    /// Stream the mailbox
    ///
    /// Server-sent events, in the order of their sequence numbers, as they come. The `data` of an event `message` is a
    /// `Message` as JSON and its `id` the sequence number; the `data` of an event `gap` is a `Gap`, and its `id` the last
    /// number of that. Comments come as heartbeats. It ends when the session does or the server stops: go on with
    /// `Last-Event-ID`, as every `EventSource` does. It deletes nothing; `acknowledgeMailbox` does.
    #[oai(path = "/stream", method = "get", operation_id = "streamMailbox")]
    async fn stream(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// The sequence number to go on after; it goes before `after`.
        #[oai(name = "Last-Event-ID", validator(pattern = "^[0-9]{1,18}$"))]
        last_event_id: HeaderText,
        /// The sequence number to start after; after what is acknowledged where nothing is said.
        after: Query<Option<Integer<0>>>,
    ) -> Result<stream::Response> {
        stream::stream(services.0.clone(), caller.0, last_event_id.0.as_deref(), after.0).await
    }
}

/// A message in a mailbox.
#[derive(Object)]
#[oai(example)]
struct Message {
    /// Its place in the mailbox: 1, 2, 3 and so on.
    sequence: i64,
    /// Names the send that it came with, for good.
    id: i64,
    /// Who sent it.
    sender: String,
    /// The device that it was sent from; left out where that is not known.
    #[oai(skip_serializing_if_is_none)]
    sender_device_id: Option<i64>,
    /// What the sender's client encrypted, byte for byte.
    contents: String,
    /// When it was stored.
    sent_at: Time,
    /// When it is gone, unless it is acknowledged before.
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

/// Sequence numbers whose messages are gone unread.
#[derive(Object)]
struct Gap {
    /// The first of them.
    first: i64,
    /// The last of them.
    last: i64,
    reason: GapReason,
}

/// Why a message is gone unread: its time was up, or the mailbox was full when it came.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
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
