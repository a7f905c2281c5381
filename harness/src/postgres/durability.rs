use woosh_server::database::DatabaseUrl;

/// Whether the data of a Postgres server that the harness starts survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The data does not survive, so commits are fast. For tests.
    Fast,
    /// The data survives, as in production. For the benchmark.
    Durable,
}

const FAST: [&str; 8] =
    ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "shared_buffers=64MB", "-c", "max_connections=500"];
// These arguments leave the settings of durability at their defaults, such as `fsync=on`.
const DURABLE: [&str; 6] = ["-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB", "-c", "max_connections=500"];

impl Durability {
    /// Adapts the URL of a database whose server has this durability. If the data does not survive a crash, the
    /// returned URL permits Woosh servers to use a Postgres whose `fsync` is off. Otherwise, returns `url` unchanged.
    pub(crate) fn accept(self, url: DatabaseUrl) -> DatabaseUrl {
        match self {
            Self::Fast => url.allow_fsync_off(),
            Self::Durable => url,
        }
    }

    /// Returns the command line arguments for the program `postgres`.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Fast => &FAST,
            Self::Durable => &DURABLE,
        }
    }
}
