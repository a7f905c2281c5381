//! Operations for operators: health checks and the document.

mod documents;
mod health;

pub(super) use documents::DocumentApi;
pub(super) use health::HealthApi;
