//! Endpoints for operators: health checks and the OpenAPI document.

mod documents;
mod health;
mod static_document;

pub(super) use documents::DocumentApi;
pub(super) use health::HealthApi;
