//! The classic API: the wire contract of the original server, frozen and deprecated. Nothing is added to this API.

mod auth;
mod error;
mod messages;
mod users;

pub(super) use auth::SCHEMES;
pub(super) use error::ClassicError;
pub(super) use messages::ClassicMessagesApi;
pub(super) use users::ClassicUsersApi;
