//! What the use cases need from outside, as traits.
//!
//! There is one port per aggregate, and each method is one atomic step: it happens whole or not at all, also when the
//! process is killed in the middle. What an implementation has to keep is in the doc comments, as MUST sentences;
//! the `contract` module checks it.

mod clock;
mod error;
mod mailboxes;
mod password_hasher;
mod users;

use std::sync::Arc;

pub use clock::Clock;
pub use error::PortError;
pub use mailboxes::{Mailboxes, NewMessage, Page};
pub use password_hasher::PasswordHasher;
pub use users::{Credential, NewUser, Users};

#[cfg(test)]
pub(crate) use {clock::MockClock, mailboxes::MockMailboxes, password_hasher::MockPasswordHasher, users::MockUsers};

/// The ports that one database implements together.
#[derive(Clone)]
pub struct Stores {
    /// The users and their devices.
    pub users: Arc<dyn Users>,
    /// The mailboxes and what is in them.
    pub mailboxes: Arc<dyn Mailboxes>,
}
