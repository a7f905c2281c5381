//! The types of the domain. A value that exists is valid.

mod id;
mod message;
mod opaque;
mod password;
mod sequence;
mod timestamp;
mod user;
mod username;

pub use id::{DeviceId, MessageId, UserId};
pub use message::{Envelope, Message};
pub use opaque::{Contents, Info, PrivateKey, PublicKey, TooLong};
pub use password::{Password, PasswordError, PasswordHash};
pub use sequence::SequenceNumber;
pub use timestamp::Timestamp;
pub use user::User;
pub use username::{Username, UsernameError};
