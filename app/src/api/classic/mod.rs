//! The classic API: the API of the first version of Woosh, frozen and deprecated. No operation or field is ever added.

mod auth;
mod error;
mod messages;
mod users;

pub(super) use auth::SCHEMES;
pub(super) use error::ClassicError;
pub(super) use messages::ClassicMessagesApi;
pub(super) use users::ClassicUsersApi;
