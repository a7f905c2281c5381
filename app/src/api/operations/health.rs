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
    /// The server is not healthy. The log of the server contains the reason.
    #[oai(status = 503)]
    Unhealthy(
        Json<ClassicError>,
        /// Seconds to wait before you check again.
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
    /// Returns 503 if the server process has to be restarted: the SQLite file was removed or replaced, or a background
    /// task that accesses the database has ended. Otherwise returns 200, even while the database is unreachable.
    #[oai(path = "/live", method = "get", operation_id = "getLiveness")]
    async fn live(&self, services: Data<&Arc<Services>>) -> HealthReply {
        HealthReply::new(services.health.is_alive(), "the server has to be restarted")
    }

    /// Check readiness
    ///
    /// Returns 200 if the server can commit a write to the database, otherwise 503. To check this, the server commits a
    /// small write, at most once a second. A request that arrives within a second after the start of a check, or while
    /// the check runs, receives the result of this check.
    #[oai(path = "/ready", method = "get", operation_id = "getReadiness")]
    async fn ready(&self, services: Data<&Arc<Services>>) -> HealthReply {
        HealthReply::new(services.health.is_ready().await, "the database commits no write")
    }
}
