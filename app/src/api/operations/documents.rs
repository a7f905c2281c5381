use poem_openapi::payload::PlainText;
use poem_openapi::{ApiResponse, OpenApi};

use crate::api::{Group, document};

/// Serves the OpenAPI document.
pub(in crate::api) struct DocumentApi;

#[derive(ApiResponse)]
enum Yaml {
    /// The document.
    #[oai(status = 200, content_type = "application/yaml")]
    Ok(PlainText<&'static str>),
}

#[derive(ApiResponse)]
enum Json {
    /// The document.
    #[oai(status = 200, content_type = "application/json")]
    Ok(PlainText<&'static str>),
}

#[derive(ApiResponse)]
enum Page {
    /// The page.
    #[oai(status = 200, content_type = "text/html")]
    Ok(PlainText<String>),
}

#[OpenApi(tag = "Group::Operations")]
impl DocumentApi {
    /// This document in Swagger UI
    ///
    /// The page comes whole from this server, and loads nothing from elsewhere.
    #[oai(path = "/docs", method = "get", operation_id = "getDocs")]
    async fn page(&self) -> Page {
        Page::Ok(PlainText(document().page()))
    }

    /// This document as YAML
    #[oai(path = "/openapi.yaml", method = "get", operation_id = "getOpenapiYaml")]
    async fn yaml(&self) -> Yaml {
        Yaml::Ok(PlainText(document().yaml()))
    }

    /// This document as JSON
    #[oai(path = "/openapi.json", method = "get", operation_id = "getOpenapiJson")]
    async fn json(&self) -> Json {
        Json::Ok(PlainText(document().json()))
    }
}
