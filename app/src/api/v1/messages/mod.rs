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
    /// Stores a message in the mailbox of every device of each recipient. If one of the recipients does not exist, no
    /// recipient receives the message. A device whose mailbox is full does not receive the message, and is listed in
    /// `undelivered` in the response. If the mailboxes of all devices are full, the request fails with `mailbox_full`.
    /// A 201 response means that the message is stored durably.
    #[oai(path = "/", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: TokenCaller<true>,
        services: Data<&Arc<Services>>,
        /// Makes retries safe: if a device repeats a request with the same key and the same body, the server does not
        /// store the message again, and returns the same response as the first time. The key has 1 to 255 visible ASCII
        /// characters, optionally in double quotes. A random UUID is recommended. The server remembers a key for at
        /// least a day. If the request is repeated later, the server may store the message a second time.
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
