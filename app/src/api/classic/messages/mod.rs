mod delete;
mod poll;
mod send;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};
use woosh_domain::model::{self, Contents};
use woosh_domain::use_cases::{Caller, SentMessage};

use super::auth::ClassicCaller;
use crate::api::Group;
use crate::api::body::Body;
use crate::services::Services;

/// Messages of the classic API.
pub(in crate::api) struct MessagesApi;

#[OpenApi(tag = "Group::Classic")]
impl MessagesApi {
    /// Send a message
    ///
    /// Stores a message for another user. Once this is answered, the message survives a crash.
    #[oai(path = "/messages", method = "post", operation_id = "classicSendMessage", deprecated)]
    async fn send(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        body: Body<send::NewMessage>,
    ) -> Result<send::Response> {
        send::send(&services, &caller.0, body.0).await
    }

    /// Poll for messages
    ///
    /// The oldest pending messages of the caller in order, at most 100; more only where one second holds more. All from
    /// before `query_time` are among them, so that these can be deleted by it. It deletes none.
    #[oai(path = "/messages", method = "get", operation_id = "classicPollMessages", deprecated)]
    async fn poll(&self, caller: ClassicCaller, services: Data<&Arc<Services>>) -> Result<poll::Response> {
        poll::poll(&services, &caller.0).await
    }

    /// Delete polled messages
    ///
    /// Deletes the caller's messages from before a second. With the `query_time` of a poll these are messages that the
    /// poll has given, and no others.
    #[oai(path = "/messages", method = "delete", operation_id = "classicDeleteMessages", deprecated)]
    async fn delete(
        &self,
        caller: ClassicCaller,
        services: Data<&Arc<Services>>,
        /// The second, in Unix time; it is itself excluded.
        #[oai(example = "example_time")]
        until: Query<i64>,
    ) -> Result<delete::Response> {
        delete::delete(&services, &caller.0, until.0).await
    }
}

fn example_time() -> i64 {
    1_500_000_000
}

/// A message.
#[derive(Debug, Object)]
#[oai(rename = "ClassicMessage", example)]
struct Message {
    /// Names the message for good.
    id: i64,
    /// The sender's username.
    from_user: String,
    /// The recipient's username.
    to_user: String,
    /// What the sender's client encrypted.
    contents: String,
    /// When it was stored, in Unix seconds.
    sent_at: i64,
}

impl Message {
    /// What was just sent to one recipient.
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

impl From<model::Message> for Message {
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

impl Example for Message {
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
