//! What a client can ask for, one file each. Every door of the API leads here.

mod authenticate;
mod delete_messages;
mod find_user;
mod poll_messages;
mod register_user;
mod send_message;
mod update_user;

pub use authenticate::{Authenticate, AuthenticateError, Caller};
pub use delete_messages::DeleteMessages;
pub use find_user::FindUser;
pub use poll_messages::{Poll, PollMessages};
pub use register_user::{RegisterUser, RegisterUserError, Registration};
pub use send_message::{SendMessage, SendMessageError};
pub use update_user::{UpdateUser, UpdateUserError};
