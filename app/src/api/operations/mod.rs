//! Endpoints for operators: health checks and the OpenAPI document.

mod documents;
mod health;

pub(super) use documents::DocumentApi;
pub(super) use health::HealthApi;
