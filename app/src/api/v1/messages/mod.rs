mod send;

use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::OpenApi;

use super::auth::TokenCaller;
use super::header::HeaderText;
use crate::api::Group;
use crate::api::body::Body;
use crate::services::Services;

/// Message operations of v1.
pub(in crate::api) struct MessagesApi;

#[OpenApi(prefix_path = "/v1/messages", tag = "Group::Messages")]
impl MessagesApi {
    /// Send a message
    ///
    /// Stores a message in the mailbox of every device of each recipient: for all recipients, or for none. A 201
    /// response means that the message is stored durably. A device whose mailbox is full does not receive the message,
    /// and is listed in `undelivered`.
    #[oai(path = "/", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: TokenCaller<true>,
        services: Data<&Arc<Services>>,
        /// Makes retries safe: requests with the same key and body from the same device store one message, and all
        /// return the first response. The key has 1 to 255 visible ASCII characters, optionally in double quotes. A
        /// random UUID is recommended. The server remembers a key for at least a day.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = r#"^([!#-~][!-~]*|"[!#-\[\]-~]+")$"#)
        )]
        key: HeaderText,
        body: Body<send::SendMessageRequest>,
    ) -> Result<send::SendMessageReply> {
        send::send(&services, &caller.0, key.0.as_deref(), body.0).await
    }
}
