//! The HTTP API: the operations and what surrounds every one of them.

mod body;
mod classic;
mod document;
mod errors;
mod limits;
mod log;
mod operations;
mod v1;

use std::sync::Arc;

use poem::middleware::RequestId;
use poem::{Endpoint, EndpointExt as _, Response, Route};
use poem_openapi::{OpenApiService, Tags};

pub use self::document::{Document, document};
use crate::services::Services;

#[derive(Tags)]
enum Group {
    /// Accounts: their names, keys and vaults.
    #[oai(rename = "Users")]
    Users,
    /// Logins of devices. Each has a token, which the other operations ask for.
    #[oai(rename = "Sessions")]
    Sessions,
    /// Installations of clients. Each has a mailbox of its own.
    #[oai(rename = "Devices")]
    Devices,
    /// Sending.
    #[oai(rename = "Messages")]
    Messages,
    /// Receiving: what came for the device that asks.
    #[oai(rename = "Mailbox")]
    Mailbox,
    /// The original's API, frozen, for the clients that have it.
    #[oai(rename = "Classic")]
    Classic,
    /// For those who run the server.
    #[oai(rename = "Operations")]
    Operations,
}

type V1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
type Classic = (classic::UsersApi, classic::MessagesApi);
type Operations = (operations::HealthApi, operations::DocumentApi);

/// All operations. They hold no state, so that the document can be had without a database.
fn service() -> OpenApiService<(V1, Classic, Operations), ()> {
    let v1 = (v1::UsersApi, v1::SessionsApi, v1::DevicesApi, v1::MessagesApi, v1::MailboxApi);
    let classic = (classic::UsersApi, classic::MessagesApi);
    let operations = (operations::HealthApi, operations::DocumentApi);
    OpenApiService::new((v1, classic, operations), "Woosh", env!("CARGO_PKG_VERSION"))
}

/// The whole API on these services.
pub(crate) fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .nest("/", service())
        .data(services)
        .map_to_response()
        .around(limits::limit)
        .around(errors::shape)
        .around(log::request)
        .with(RequestId::new())
        .map_to_response()
}
