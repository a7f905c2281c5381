//! What the use cases need from outside, as traits.
//!
//! There is one port per aggregate, and each method is one atomic step: it happens whole or not at all, also when the
//! process is killed in the middle. What an implementation has to keep is in the doc comments, as MUST sentences;
//! the `contract` module checks it.

mod clock;
mod devices;
mod error;
mod mailboxes;
mod notifier;
mod password_hasher;
mod randomness;
mod sessions;
mod users;

use std::sync::Arc;

pub use clock::Clock;
pub use devices::{DeleteDeviceOutcome, Devices};
pub use error::PortError;
pub use mailboxes::{
    AcknowledgeOutcome, AddressedContents, DeliverOutcome, MailboxPage, Mailboxes, NewDelivery, PageLimit, Receipt,
    Undelivered,
};
pub use notifier::{Notifier, Subscription, WaitOutcome};
pub use password_hasher::PasswordHasher;
pub use randomness::Randomness;
pub use sessions::{MAX_DEVICES, MAX_SESSIONS, NewSession, OpenSessionOutcome, SessionOwner, Sessions};
pub use users::{Credential, NewUser, RegisteredUser, UpdateUserOutcome, UserChange, Users};

#[cfg(test)]
pub(crate) use {
    clock::MockClock,
    mailboxes::MockMailboxes,
    notifier::{MockNotifier, MockSubscription},
    password_hasher::MockPasswordHasher,
    randomness::MockRandomness,
    sessions::MockSessions,
    users::MockUsers,
};

/// The ports that one database implements together.
#[derive(Clone)]
pub struct Stores {
    /// The users.
    pub users: Arc<dyn Users>,
    /// Their devices.
    pub devices: Arc<dyn Devices>,
    /// The logins of the devices.
    pub sessions: Arc<dyn Sessions>,
    /// The mailboxes and what is in them.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Who waits for something to come into a mailbox.
    pub notifier: Arc<dyn Notifier>,
}
