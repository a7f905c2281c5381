//! The classic API: the original's wire contract, frozen. Nothing is ever added to it.

mod auth;
mod error;
mod messages;
mod users;

pub(super) use auth::SCHEMES;
pub(super) use error::ClassicError;
pub(super) use messages::MessagesApi;
pub(super) use users::UsersApi;
