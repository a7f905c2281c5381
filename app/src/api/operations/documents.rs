use std::io;

use bytes::Bytes;
use poem::error::InternalServerError;
use poem::{Request, Result};
use poem_openapi::{ApiResponse, OpenApi};
use tokio::sync::OnceCell;

use super::static_document::{Representation, StaticDocument};
use crate::api::{Group, document};

/// The OpenAPI document, as a page, as YAML and as JSON.
pub(in crate::api) struct DocumentApi;

#[derive(ApiResponse)]
enum YamlReply {
    /// The OpenAPI document.
    #[oai(status = 200, content_type = "application/yaml")]
    Ok(Representation),
    /// The document has not changed: its `ETag` is in the request's `If-None-Match`.
    #[oai(status = 304)]
    NotModified(
        /// Version of the document.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum JsonReply {
    /// The OpenAPI document.
    #[oai(status = 200, content_type = "application/json")]
    Ok(Representation),
    /// The document has not changed: its `ETag` is in the request's `If-None-Match`.
    #[oai(status = 304)]
    NotModified(
        /// Version of the document.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum DocsReply {
    /// The HTML page.
    #[oai(status = 200, content_type = "text/html")]
    Ok(Representation),
    /// The page has not changed: its `ETag` is in the request's `If-None-Match`.
    #[oai(status = 304)]
    NotModified(
        /// Version of the page.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi(tag = "Group::Operations")]
impl DocumentApi {
    /// Browse this document in Swagger UI
    ///
    /// The page is self-contained: it loads nothing from other hosts.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn page(&self, request: &Request) -> Result<DocsReply> {
        let chosen = documents().await?.page.negotiate(request.headers());
        Ok(chosen.map_or_else(DocsReply::NotModified, DocsReply::Ok))
    }

    /// Get this document as YAML
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getOpenapiYaml")]
    async fn yaml(&self, request: &Request) -> Result<YamlReply> {
        let chosen = documents().await?.yaml.negotiate(request.headers());
        Ok(chosen.map_or_else(YamlReply::NotModified, YamlReply::Ok))
    }

    /// Get this document as JSON
    #[oai(path = "/openapi.json", method = "get", operation_id = "getOpenapiJson")]
    async fn json(&self, request: &Request) -> Result<JsonReply> {
        let chosen = documents().await?.json.negotiate(request.headers());
        Ok(chosen.map_or_else(JsonReply::NotModified, JsonReply::Ok))
    }
}

struct Documents {
    page: StaticDocument,
    yaml: StaticDocument,
    json: StaticDocument,
}

/// Returns the documents. They are built at the first request, because most servers never get such a request.
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
