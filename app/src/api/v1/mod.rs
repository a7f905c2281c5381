//! The v1 API: bearer tokens, problem details, and JSON with names in `snake_case`.

mod auth;
mod devices;
mod header;
mod mailbox;
mod messages;
mod problem;
mod sessions;
mod users;
mod values;

pub(super) use devices::DevicesApi;
pub(super) use mailbox::MailboxApi;
pub(super) use messages::MessagesApi;
pub(super) use problem::{MEDIA_TYPE, Problem, examples};
pub(super) use sessions::SessionsApi;
pub(super) use users::UsersApi;
