use woosh_server::database::DatabaseUrl;

/// Whether a server that the harness starts keeps its data across a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It does not, which is fast: for tests.
    Fast,
    /// It does, as in production: for measurements.
    Durable,
}

const FAST: [&str; 8] =
    ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "max_connections=500"];
// What is not set here has its default, such as `fsync=on`.
const DURABLE: [&str; 6] = ["-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "max_connections=500"];

impl Durability {
    /// Lets Woosh use a server of this durability.
    pub(crate) fn accept(self, url: DatabaseUrl) -> DatabaseUrl {
        match self {
            Self::Fast => url.allow_fsync_off(),
            Self::Durable => url,
        }
    }

    /// The arguments for `postgres`.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Fast => &FAST,
            Self::Durable => &DURABLE,
        }
    }
}
