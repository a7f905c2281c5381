use poem::handler;
use poem::web::Html;
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

#[OpenApi(tag = "Group::Operations")]
impl DocumentApi {
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

/// Swagger UI, whole, from this binary.
#[handler]
pub(in crate::api) fn docs() -> Html<String> {
    Html(document().page())
}
