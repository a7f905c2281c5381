use std::sync::Arc;

use poem::http::StatusCode;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::api::Group;
use crate::api::classic::ClassicError;
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
    /// The server is not healthy. The log says why.
    #[oai(status = 503)]
    Unhealthy(
        Json<ClassicError>,
        /// Seconds after which to check again.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

impl HealthReply {
    /// Returns 200 if the server is healthy, otherwise 503 with a reason.
    fn new(is_healthy: bool, reason: &str) -> Self {
        if is_healthy {
            return Self::Ok(Json(Health { status: "ok".to_owned() }));
        }
        Self::Unhealthy(Json(ClassicError::new(StatusCode::SERVICE_UNAVAILABLE, reason)), 1)
    }
}

#[OpenApi(prefix_path = "/health", tag = "Group::Operations")]
impl HealthApi {
    /// Check liveness
    ///
    /// Returns 503 if the process should be restarted: the SQLite file was removed or replaced, or a part of the server
    /// has failed for good. Returns 200 otherwise, also while the database is unreachable.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self, services: Data<&Arc<Services>>) -> HealthReply {
        HealthReply::new(services.health.is_alive(), "the server has to be restarted")
    }

    /// Check readiness
    ///
    /// Returns 200 if a write can be committed to the database, otherwise 503. Commits a write at most once a second;
    /// checks within this second, and concurrent checks, have the same result.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, services: Data<&Arc<Services>>) -> HealthReply {
        HealthReply::new(services.health.is_ready().await, "the database commits no write")
    }
}
