//! Fixed limits, and limits that the operator sets.

/// Maximum number of devices of a user. Each device adds to the cost of every send to the user.
pub const MAX_DEVICES: usize = 32;
/// Maximum number of open sessions of a device.
pub const MAX_SESSIONS: usize = 16;
/// Maximum number of unused stream tickets of a session.
pub const MAX_STREAM_TICKETS: usize = 16;

/// The capacity of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Maximum number of envelopes in the mailbox.
    pub messages: u64,
    /// Maximum total size of the contents of all envelopes in the mailbox, in bytes.
    pub bytes: u64,
}

/// Limits that the operator of a server sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The capacity of each mailbox.
    pub mailbox: Quota,
    /// Maximum time until a message expires, in seconds. Also the default for a message whose sender sets no time.
    pub ttl_seconds: u64,
    /// Whether clients may search for users by username prefix.
    pub search: bool,
    /// The free disk space below which the server stores nothing new, in bytes. 0 to store until the disk is full.
    pub min_free_space: u64,
}

impl Default for Limits {
    /// Returns limits of 100,000 messages and 256 MiB for each mailbox, and of 30 days until a message expires. Search
    /// is allowed. 256 MiB of disk space stay free. This space is several times as much as sends usually write between
    /// two checks of the free space, and several times the usual size of SQLite's write-ahead log.
    fn default() -> Self {
        Self {
            mailbox: Quota { messages: 100_000, bytes: 256 * 1024 * 1024 },
            ttl_seconds: 30 * 24 * 60 * 60,
            search: true,
            min_free_space: 256 * 1024 * 1024,
        }
    }
}
