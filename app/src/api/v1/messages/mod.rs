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

/// Messages of v1.
pub(in crate::api) struct MessagesApi;

#[OpenApi(prefix_path = "/v1/messages", tag = "Group::Messages")]
impl MessagesApi {
    /// Send a message
    ///
    /// Stores contents for one user or more, one copy for each of their devices: for all of them or for none. Once this is
    /// answered with 201, it survives a crash. A device whose mailbox is full is left out, and named in `undelivered`.
    #[oai(path = "/", method = "post", operation_id = "sendMessage")]
    async fn send(
        &self,
        caller: TokenCaller,
        services: Data<&Arc<Services>>,
        /// Names this send, so that it happens once however often it is asked for: with the same key and the same body, the
        /// same device gets the same answer. 1 to 255 visible ASCII characters, best a random UUID, in double quotes or
        /// not. It is remembered for a day at least.
        #[oai(
            name = "Idempotency-Key",
            validator(min_length = 1, max_length = 255, pattern = r#"^([!#-~][!-~]*|"[!#-\[\]-~]+")$"#)
        )]
        key: HeaderText,
        body: Body<send::NewMessage>,
    ) -> Result<send::Response> {
        send::send(&services, &caller.0.caller, key.0.as_deref(), body.0).await
    }
}
