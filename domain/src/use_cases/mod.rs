//! The operations of the server, one file each. Clients request most of them through the v1 API or its deprecated
//! predecessor, the classic API. `KeepTime`, `Sweep` and `ForgetKeys` run in the background, and `MarkRestored` runs
//! from the command line.

mod acknowledge;
mod authenticate;
mod caller;
mod change_password;
mod check_token;
mod create_stream_ticket;
mod delete_device;
mod delete_messages;
mod delete_user;
mod end_session;
mod find_user;
mod forget_keys;
mod keep_time;
mod list_devices;
mod list_sessions;
mod log_in;
mod mark_restored;
mod poll_messages;
mod read_mailbox;
mod register_user;
mod search_users;
mod send_message;
mod sweep;
mod take_stream_ticket;
mod update_user;
mod watch_disk;

use self::sweep::purge;

pub use acknowledge::{Acknowledge, AcknowledgeError};
pub use authenticate::{Authenticate, AuthenticateError};
pub use caller::{Caller, SessionCaller};
pub use change_password::{ChangePassword, ChangePasswordError};
pub use check_token::CheckToken;
pub use create_stream_ticket::{CreateStreamTicket, CreateStreamTicketError, StreamTicket};
pub use delete_device::DeleteDevice;
pub use delete_messages::DeleteMessages;
pub use delete_user::DeleteUser;
pub use end_session::EndSession;
pub use find_user::FindUser;
pub use forget_keys::ForgetKeys;
pub use keep_time::KeepTime;
pub use list_devices::ListDevices;
pub use list_sessions::ListSessions;
pub use log_in::{LogIn, LogInError, LoggedIn, Login};
pub use mark_restored::{MarkRestored, Restored};
pub use poll_messages::{Poll, PollMessages, RestOfSecond};
pub use read_mailbox::{ReadMailbox, ReadMailboxError};
pub use register_user::{RegisterUser, RegisterUserError, Registered, Registration};
pub use search_users::{FoundUsers, SearchUsers, SearchUsersError};
pub use send_message::{SendMessage, SendMessageError, SendRequest, SentMessage};
pub use sweep::Sweep;
pub use take_stream_ticket::TakeStreamTicket;
pub use update_user::{UpdateUser, UpdateUserError};
pub use watch_disk::{DiskChange, Room, WatchDisk};
