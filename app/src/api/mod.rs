//! The HTTP API: the operations and the middleware around them.

mod body;
mod classic;
mod content_type;
mod cors;
mod document;
mod error_responses;
mod errors;
mod field_error;
mod json;
mod json_response;
mod limits;
mod log;
mod no_store;
mod operations;
mod query;
mod v1;

use std::sync::Arc;

use poem::{Endpoint, EndpointExt as _, Response, Route};
use poem_openapi::{OpenApiService, Tags};

pub use self::cors::{CorsOrigins, OriginError};
pub use self::document::{Document, document};
use crate::services::Services;

#[derive(Tags)]
enum Group {
    /// User accounts: username, password, public key, and the vault (the private fields `private_key` and `info`).
    #[oai(rename = "Users")]
    Users,
    /// Logins. A session belongs to one device, and has a bearer token that authenticates the requests of this device.
    #[oai(rename = "Sessions")]
    Sessions,
    /// Installations of a client application. Each device has its own mailbox.
    #[oai(rename = "Devices")]
    Devices,
    /// Send messages to users.
    #[oai(rename = "Messages")]
    Messages,
    /// Receive messages: read, stream and acknowledge the mailbox of the calling device, which is the device that the
    /// bearer token belongs to.
    #[oai(rename = "Mailbox")]
    Mailbox,
    /// Legacy API, frozen and deprecated. Use v1, the operations under `/v1`, instead.
    #[oai(rename = "Classic")]
    Classic,
    /// Health checks of the server.
    #[oai(rename = "Operations")]
    Operations,
}

type V1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
type Classic = (classic::ClassicUsersApi, classic::ClassicMessagesApi);
type Operations = (operations::HealthApi, operations::DocumentApi);

/// Returns the poem-openapi service with all operations. The operations have no state of their own, so that the OpenAPI
/// document can be built without a database.
fn service() -> OpenApiService<(V1, Classic, Operations), ()> {
    let v1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
    let classic = (classic::ClassicUsersApi, classic::ClassicMessagesApi);
    let operations = (operations::HealthApi, operations::DocumentApi);
    OpenApiService::new((v1, classic, operations), "Woosh", env!("CARGO_PKG_VERSION"))
}

/// Returns the HTTP API, whose operations call `services`. Web pages of `origins` may call it from a browser.
pub(crate) fn endpoint(services: Arc<Services>, origins: CorsOrigins) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .nest("/", service())
        .data(services)
        .map_to_response()
        .around(limits::limit)
        .around(errors::format_errors)
        .with(cors::Cors(origins))
        .around(log::log_request)
}
