use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::api::Group;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// Tells whether the server lives and whether it can serve.
pub(in crate::api) struct HealthApi;

/// How the server is.
#[derive(Debug, Object)]
struct Health {
    /// Always `ok`: where it is not, there is an error instead.
    status: String,
}

#[derive(ApiResponse)]
enum Response {
    /// All is well.
    #[oai(status = 200)]
    Ok(Json<Health>),
}

impl Response {
    fn ok() -> Self {
        Self::Ok(Json(Health { status: "ok".to_owned() }))
    }
}

#[OpenApi(prefix_path = "/health", tag = "Group::Operations")]
impl HealthApi {
    /// Is it alive?
    ///
    /// Answers as long as the process does.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self) -> Response {
        Response::ok()
    }

    /// Is it ready?
    ///
    /// Answers with 200 when the database answers, else with 503.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, services: Data<&Arc<Services>>) -> Result<Response> {
        services.database.ping().await.map_err(PortFailed::from)?;
        Ok(Response::ok())
    }
}
