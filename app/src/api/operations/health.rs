use std::sync::Arc;

use poem::Result;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::api::Group;
use crate::api::errors::PortFailed;
use crate::services::Services;

/// Health check operations.
pub(in crate::api) struct HealthApi;

/// Health of the server.
#[derive(Debug, Object)]
struct Health {
    /// Always `ok`: an unhealthy server returns an error.
    status: String,
}

#[derive(ApiResponse)]
enum HealthReply {
    /// The server is healthy.
    #[oai(status = 200)]
    Ok(Json<Health>),
}

impl HealthReply {
    fn ok() -> Self {
        Self::Ok(Json(Health { status: "ok".to_owned() }))
    }
}

#[OpenApi(prefix_path = "/health", tag = "Group::Operations")]
impl HealthApi {
    /// Check liveness
    ///
    /// Returns 200 as long as the server handles requests. Does not check the database.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self) -> HealthReply {
        HealthReply::ok()
    }

    /// Check readiness
    ///
    /// Returns 200 if the server can use its database, otherwise 503.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, services: Data<&Arc<Services>>) -> Result<HealthReply> {
        services.database.ping().await.map_err(PortFailed::from)?;
        Ok(HealthReply::ok())
    }
}
