mod delete;
mod poll;
mod send;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use serde::Serialize;
use woosh_domain::model::{self, Contents};
use woosh_domain::use_cases::{Caller, SentMessage};

use super::auth::ClassicCaller;
use crate::api::Group;
use crate::api::body::Body;
use crate::api::query::Query;
use crate::budget::Client;
use crate::services::Services;

/// Message operations of the classic API.
pub(in crate::api) struct ClassicMessagesApi;

#[OpenApi(tag = "Group::Classic")]
impl ClassicMessagesApi {
    /// Send a message
    ///
    /// Stores a message in the mailboxes of all devices of the recipient. The recipient must not be the sender. A
    /// device whose mailbox is full does not receive the message. A 201 response means that the message is stored
    /// durably.
    #[oai(path = "/messages", method = "post", operation_id = "classicSendMessage", deprecated)]
    async fn send(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        body: Body<send::ClassicSendMessageRequest>,
    ) -> Result<send::ClassicSendMessageReply> {
        send::send(&services, &caller.0, body.0).await
    }

    /// Poll for messages
    ///
    /// Returns the caller's oldest pending messages, oldest first: at most 100 messages. A response has more than 100
    /// messages only if all of them were sent in the same second. The response contains a time, `query_time`. All
    /// pending messages that were sent before this time are in the response. When you have processed these messages,
    /// delete them: call `classicDeleteMessages` with `until` set to `query_time`. Polling never deletes messages.
    #[oai(path = "/messages", method = "get", operation_id = "classicPollMessages", deprecated)]
    async fn poll(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        client: Data<&Arc<Client>>,
    ) -> Result<poll::ClassicPollMessagesReply> {
        poll::poll(services.0, caller.0, client.0).await
    }

    /// Delete polled messages
    ///
    /// Deletes the messages that were sent before `until` from the mailbox of the caller's oldest device, which is the
    /// mailbox that `classicPollMessages` reads. If `until` is the `query_time` of a poll, the server deletes only
    /// messages that this poll returned. If `until` is later, the server may also delete messages that the client has
    /// not received.
    #[oai(path = "/messages", method = "delete", operation_id = "classicDeleteMessages", deprecated)]
    async fn delete(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        /// Unix time in seconds. Messages that were sent in this second or later are not deleted.
        #[oai(example = "example_time")]
        until: Query<i64>,
    ) -> Result<delete::ClassicDeleteMessagesReply> {
        delete::delete(&services, &caller.0, until.0).await
    }
}

fn example_time() -> i64 {
    1_500_000_000
}

/// A message from one user to another.
#[derive(Debug, Object, Serialize)]
#[oai(example)]
struct ClassicMessage {
    /// Identifier of the message.
    id: i64,
    /// Username of the sender.
    from_user: String,
    /// Username of the recipient.
    to_user: String,
    /// Encrypted contents, byte for byte as sent.
    contents: String,
    /// When the message was stored, as Unix time in seconds.
    sent_at: i64,
}

impl ClassicMessage {
    /// Creates the response to a send. A send of the classic API has exactly one recipient.
    fn sent(sent: SentMessage, caller: &Caller, contents: Contents) -> Self {
        Self {
            id: sent.receipt.id.get(),
            from_user: caller.username.to_string(),
            to_user: sent.recipients.first().map(ToString::to_string).unwrap_or_default(),
            contents: contents.into_string(),
            sent_at: sent.receipt.sent_at.seconds(),
        }
    }
}

impl From<model::Message> for ClassicMessage {
    fn from(message: model::Message) -> Self {
        Self {
            id: message.id.get(),
            from_user: message.sender.to_string(),
            to_user: message.recipient.to_string(),
            contents: message.contents.into_string(),
            sent_at: message.sent_at.seconds(),
        }
    }
}

impl Example for ClassicMessage {
    fn example() -> Self {
        Self {
            id: 1,
            from_user: "bob".to_owned(),
            to_user: "alice".to_owned(),
            contents: "ciphertext".to_owned(),
            sent_at: example_time(),
        }
    }
}
