//! The types of the domain. Constructors validate, so that every value is valid.

mod cursor;
mod device;
mod gap;
mod id;
mod idempotency;
mod incarnation;
mod json_size;
mod limits;
mod message;
mod opaque;
mod password;
mod sequence;
mod timestamp;
mod token;
mod user;
mod username;

pub use cursor::{Cursor, CursorError, MailboxPosition};
pub use device::{Device, Session};
pub use gap::{Gap, GapReason};
pub use id::{DeviceId, MessageId, SessionId, UserId};
pub use idempotency::{Fingerprint, IdempotencyKey, IdempotencyKeyError, KeyGeneration};
pub use incarnation::{Incarnation, IncarnationError};
pub use json_size::json_size;
pub use limits::{Limits, MAX_DEVICES, MAX_SESSIONS, MAX_STREAM_TICKETS, Quota};
pub use message::{Envelope, Message};
pub use opaque::{Contents, DeviceName, Info, PrivateKey, PublicKey, TooLong};
pub use password::{Password, PasswordError, PasswordHash};
pub use sequence::SequenceNumber;
pub use timestamp::Timestamp;
pub use token::{Token, TokenHash};
pub use user::{User, Version};
pub use username::{Username, UsernameError};
