//! The ports: the traits through which the use cases reach a database, a clock, a password hasher and a source of
//! randomness.
//!
//! Each port covers one kind of data or one service, such as the mailboxes or the clock. Each method is one atomic
//! step: a step takes effect completely or not at all, even if the process is killed during the step. The doc comments
//! state the guarantees of an implementation as MUST sentences. The `contract` module tests these guarantees.

mod clock;
mod devices;
mod disk;
mod error;
mod mailboxes;
mod notifier;
mod password_hasher;
mod randomness;
mod sessions;
mod stream_tickets;
mod time_store;
mod users;

use std::sync::Arc;

pub use clock::{Clock, LocalClock, LocalTime};
pub use devices::{DeleteDeviceOutcome, Devices};
pub use disk::{Disk, FreeSpace};
pub use error::PortError;
pub use mailboxes::{
    AcknowledgeOutcome, AddressedContents, DeliverOutcome, MailboxPage, Mailboxes, NewDelivery, PageLimit, Receipt,
    Undelivered,
};
pub use notifier::{Delivered, Notifier, Subscription, WaitOutcome};
pub use password_hasher::PasswordHasher;
pub use randomness::Randomness;
pub use sessions::{NewSession, OpenSessionOutcome, SessionOwner, Sessions};
pub use stream_tickets::{NewStreamTicket, StreamTickets};
pub use time_store::TimeStore;
pub use users::{Credential, NewUser, RegisteredUser, UpdateUserOutcome, UserChange, Users};

#[cfg(test)]
pub(crate) use {
    clock::MockClock,
    mailboxes::MockMailboxes,
    notifier::{MockNotifier, MockSubscription},
    password_hasher::MockPasswordHasher,
    randomness::MockRandomness,
    sessions::MockSessions,
    stream_tickets::MockStreamTickets,
    users::MockUsers,
};

/// The traits of the domain (ports) that a database implements.
#[derive(Clone)]
pub struct Stores {
    /// The accounts.
    pub users: Arc<dyn Users>,
    /// The devices of all users.
    pub devices: Arc<dyn Devices>,
    /// The sessions of all devices.
    pub sessions: Arc<dyn Sessions>,
    /// The stream tickets of all sessions.
    pub stream_tickets: Arc<dyn StreamTickets>,
    /// The mailboxes and their envelopes.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// Notifies readers that wait on a mailbox.
    pub notifier: Arc<dyn Notifier>,
    /// Reads the clock that all replicas share. Also keeps the *trusted time*: the current time, which servers store
    /// periodically while the time is not in doubt.
    pub time: Arc<dyn TimeStore>,
    /// The disk of the store.
    pub disk: Arc<dyn Disk>,
}
