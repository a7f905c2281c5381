//! What the operator of a server sets.

/// How much a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// The most pending envelopes.
    pub messages: u64,
    /// The most bytes of contents, of all pending envelopes together.
    pub bytes: u64,
}

/// Limits that the operator of a server sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How much each mailbox holds.
    pub mailbox: Quota,
    /// The longest that a message waits, in seconds; also how long one waits that says nothing.
    pub ttl_seconds: u64,
    /// Whether users can be searched for by the start of their names.
    pub search: bool,
}

impl Default for Limits {
    /// 100,000 messages and 256 MiB a mailbox, 30 days, and the search is on.
    fn default() -> Self {
        Self {
            mailbox: Quota { messages: 100_000, bytes: 256 * 1024 * 1024 },
            ttl_seconds: 30 * 24 * 60 * 60,
            search: true,
        }
    }
}
