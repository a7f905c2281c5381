//! The HTTP API: the operations and the middleware around them.

mod body;
mod classic;
mod document;
mod errors;
mod field_error;
mod json;
mod json_response;
mod limits;
mod log;
mod operations;
mod query;
mod v1;

use std::sync::Arc;

use poem::middleware::RequestId;
use poem::{Endpoint, EndpointExt as _, Response, Route};
use poem_openapi::{OpenApiService, Tags};

pub use self::document::{Document, document};
use crate::services::Services;

#[derive(Tags)]
enum Group {
    /// Accounts: username, public key, password and vault.
    #[oai(rename = "Users")]
    Users,
    /// Logins of devices. Each session has a bearer token, which authenticates the requests of its device.
    #[oai(rename = "Sessions")]
    Sessions,
    /// Installations of a client. Each device has its own mailbox.
    #[oai(rename = "Devices")]
    Devices,
    /// Send messages.
    #[oai(rename = "Messages")]
    Messages,
    /// Receive messages: read, stream and acknowledge the calling device's mailbox.
    #[oai(rename = "Mailbox")]
    Mailbox,
    /// Legacy API, frozen and deprecated. Use v1.
    #[oai(rename = "Classic")]
    Classic,
    /// Health checks and this document, for operators.
    #[oai(rename = "Operations")]
    Operations,
}

type V1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
type Classic = (classic::ClassicUsersApi, classic::ClassicMessagesApi);
type Operations = (operations::HealthApi, operations::DocumentApi);

/// Returns the poem-openapi service with all operations. The operations hold no state, so that the OpenAPI document can
/// be built without a database.
fn service() -> OpenApiService<(V1, Classic, Operations), ()> {
    let v1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
    let classic = (classic::ClassicUsersApi, classic::ClassicMessagesApi);
    let operations = (operations::HealthApi, operations::DocumentApi);
    OpenApiService::new((v1, classic, operations), "Woosh", env!("CARGO_PKG_VERSION"))
}

/// Returns the HTTP API on top of `services`.
pub(crate) fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .nest("/", service())
        .data(services)
        .map_to_response()
        .around(limits::limit)
        .around(errors::format_errors)
        .around(log::log_request)
        .with(RequestId::new())
        .map_to_response()
}
