//! The classic API: the original's wire contract, frozen and deprecated. Nothing is added to it.

mod auth;
mod error;
mod messages;
mod users;

pub(super) use auth::SCHEMES;
pub(super) use error::ClassicError;
pub(super) use messages::ClassicMessagesApi;
pub(super) use users::ClassicUsersApi;
