//! What those who run the server use.

mod documents;
mod health;

pub(super) use documents::DocumentApi;
pub(super) use health::HealthApi;
