use std::io;

use bytes::Bytes;
use poem::error::InternalServerError;
use poem::http::{HeaderMap, StatusCode, header};
use poem::web::Json;
use poem::{IntoResponse, Request, Response, Result};
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};
use serde_json::json;
use tokio::sync::OnceCell;

use super::static_document::{CACHE_CONTROL, StaticDocument};
use crate::api::document;

/// The operations that return the OpenAPI document, as a page, as YAML and as JSON, and those for `/` and
/// `/favicon.ico`. The document lists none of these operations, because clients have no use for them.
pub(in crate::api) struct DocumentApi;

#[OpenApi]
impl DocumentApi {
    /// Leads browsers to Swagger UI, and tells other clients where the document is.
    #[oai(path = "/", method = "get", hidden)]
    async fn root(&self, request: &Request) -> Unlisted {
        let is_browser = request.header(header::ACCEPT).is_some_and(|accept| accept.contains("text/html"));
        let response = match is_browser {
            true => StatusCode::FOUND.with_header(header::LOCATION, "/docs").into_response(),
            false => Json(json!({
                "name": "Woosh",
                "version": env!("CARGO_PKG_VERSION"),
                "documentation": "/docs",
                "openapi": "/openapi.json",
            }))
            .into_response(),
        };
        Unlisted(response.with_header(header::VARY, "accept").into_response())
    }

    /// Returns no icon, so that browsers, which ask for one, don't show an error.
    #[oai(path = "/favicon.ico", method = "get", hidden)]
    async fn icon(&self) -> Unlisted {
        Unlisted(StatusCode::NO_CONTENT.with_header(header::CACHE_CONTROL, CACHE_CONTROL).into_response())
    }

    /// Returns Swagger UI with the document. The page loads nothing from other hosts.
    #[oai(path = "/docs", method = "get", hidden)]
    async fn page(&self, request: &Request) -> Result<Unlisted> {
        Ok(Unlisted::document("text/html", &documents().await?.page, request.headers()))
    }

    #[oai(path = "/openapi.yaml", method = "get", hidden)]
    async fn yaml(&self, request: &Request) -> Result<Unlisted> {
        Ok(Unlisted::document("application/yaml", &documents().await?.yaml, request.headers()))
    }

    #[oai(path = "/openapi.json", method = "get", hidden)]
    async fn json(&self, request: &Request) -> Result<Unlisted> {
        Ok(Unlisted::document("application/json", &documents().await?.json, request.headers()))
    }
}

/// A response of an operation that the document does not list.
struct Unlisted(Response);

impl Unlisted {
    /// Creates the response with a document. If the client has this version of the document already, creates the
    /// response 304 (not modified) instead.
    fn document(content_type: &str, document: &StaticDocument, headers: &HeaderMap) -> Self {
        Self(match document.negotiate(headers) {
            Ok(representation) => representation.with_content_type(content_type).into_response(),
            Err(etag) => StatusCode::NOT_MODIFIED.with_header(header::ETAG, etag).into_response(),
        })
    }
}

impl ApiResponse for Unlisted {
    fn meta() -> MetaResponses {
        MetaResponses { responses: Vec::new() }
    }

    fn register(_: &mut Registry) {}
}

impl IntoResponse for Unlisted {
    fn into_response(self) -> Response {
        self.0
    }
}

struct Documents {
    page: StaticDocument,
    yaml: StaticDocument,
    json: StaticDocument,
}

/// Returns the documents. They are built at the first request, because most servers never get a request for them.
async fn documents() -> Result<&'static Documents> {
    static DOCUMENTS: OnceCell<Documents> = OnceCell::const_new();
    let build = || async { tokio::task::spawn_blocking(Documents::new).await.map_err(io::Error::other)? };
    DOCUMENTS.get_or_try_init(build).await.map_err(InternalServerError)
}

impl Documents {
    fn new() -> io::Result<Self> {
        let document = document();
        Ok(Self {
            page: StaticDocument::new(document.page().into())?,
            yaml: StaticDocument::new(Bytes::from_static(document.yaml().as_bytes()))?,
            json: StaticDocument::new(Bytes::from_static(document.json().as_bytes()))?,
        })
    }
}
