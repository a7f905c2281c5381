use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use crate::api::{Group, document};

/// Serves the OpenAPI document.
pub(in crate::api) struct DocumentApi;

#[derive(ApiResponse)]
enum YamlReply {
    /// The OpenAPI document.
    #[oai(status = 200, content_type = "application/yaml")]
    Ok(PlainText<&'static str>),
}

#[derive(ApiResponse)]
enum JsonReply {
    /// The OpenAPI document.
    #[oai(status = 200, content_type = "application/json")]
    Ok(PlainText<&'static str>),
}

#[derive(ApiResponse)]
enum DocsReply {
    /// The HTML page.
    #[oai(status = 200, content_type = "text/html")]
    Ok(PlainText<String>),
}

#[OpenApi(tag = "Group::Operations")]
impl DocumentApi {
    /// Browse this document in Swagger UI
    ///
    /// The page is self-contained: it loads nothing from other hosts.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn page(&self) -> DocsReply {
        DocsReply::Ok(PlainText(document().page()))
    }

    /// Get this document as YAML
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getOpenapiYaml")]
    async fn yaml(&self) -> YamlReply {
        YamlReply::Ok(PlainText(document().yaml()))
    }

    /// Get this document as JSON
    #[oai(path = "/openapi.json", method = "get", operation_id = "getOpenapiJson")]
    async fn json(&self) -> JsonReply {
        JsonReply::Ok(PlainText(document().json()))
    }
}
