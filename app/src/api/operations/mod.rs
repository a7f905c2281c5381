//! What those who run the server use.

mod documents;
mod health;

pub(super) use documents::{DocumentApi, docs};
pub(super) use health::HealthApi;
