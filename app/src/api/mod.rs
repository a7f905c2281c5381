//! The HTTP API: the operations and what surrounds every one of them.

mod body;
mod classic;
mod document;
mod errors;
mod limits;
mod log;
mod operations;

use std::sync::Arc;

use poem::middleware::{CatchPanic, RequestId};
use poem::{Endpoint, EndpointExt as _, Response, Route};
use poem_openapi::{OpenApiService, Tags};

pub use self::document::{Document, document};
use crate::services::Services;

#[derive(Tags)]
enum Group {
    /// The original's API, frozen, for the clients that have it.
    #[oai(rename = "Classic")]
    Classic,
    /// For those who run the server.
    #[oai(rename = "Operations")]
    Operations,
}

type Operations = (classic::UsersApi, classic::MessagesApi, operations::HealthApi, operations::DocumentApi);

/// All operations. They hold no state, so that the document can be had without a database.
fn service() -> OpenApiService<Operations, ()> {
    let operations = (classic::UsersApi, classic::MessagesApi, operations::HealthApi, operations::DocumentApi);
    OpenApiService::new(operations, "Woosh", env!("CARGO_PKG_VERSION"))
}

/// The whole API on these services.
pub(crate) fn endpoint(services: Arc<Services>) -> impl Endpoint<Output = Response> + 'static {
    Route::new()
        .nest("/", service())
        .data(services)
        .map_to_response()
        .around(limits::limit)
        .around(errors::shape)
        .with(CatchPanic::new().with_handler(errors::Panicked))
        .around(log::request)
        .with(RequestId::new())
        .map_to_response()
}
