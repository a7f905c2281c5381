use std::time::Duration;

use clap::ValueEnum;

use crate::Backend;

/// A fault that a run injects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// SQLite and Postgres: SIGKILL ends the server, and the server is started again
    Killed,
    /// SQLite and Postgres: SIGSTOP stops the server, and SIGCONT continues it
    Stopped,
    /// SQLite and Postgres: the clock that sets the sent_at of messages is 31 days ahead, and then right again
    Clock,
    /// SQLite: the file system of the database turns read-only, as after a disk error. Postgres: the database accepts
    /// no writes
    ReadOnly,
    /// SQLite: no space is left on the disk
    DiskFull,
    /// SQLite: the database file is removed, and put back
    FileRemoved,
    /// SQLite: the database file is replaced by a copy, and put back
    FileReplaced,
    /// SQLite: another server is started on the same file
    SecondServer,
    /// Postgres: all packets between the server and the database are dropped, also on new connections
    Silent,
    /// Postgres: all connections are closed, and new ones are refused
    Cut,
    /// Postgres: the database ends the connections of the server
    Terminated,
    /// Postgres: the database crashes (an immediate shutdown), and is started again
    Restarted,
}

/// How the servers have to behave while a fault lasts. In all cases, every response must be a success, or a 503 or 507
/// with `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The servers accept no sends.
    Refuses,
    /// The servers refuse at least one request.
    Disturbs,
    /// The servers accept at least one send.
    Serves,
    /// The fault lasts only for a moment, so nothing is checked while it lasts.
    Instant,
}

impl Fault {
    pub(super) fn applies_to(self, backend: Backend) -> bool {
        match self {
            Self::Killed | Self::Stopped | Self::Clock | Self::ReadOnly => true,
            Self::DiskFull | Self::FileRemoved | Self::FileReplaced | Self::SecondServer => backend == Backend::Sqlite,
            Self::Silent | Self::Cut | Self::Terminated | Self::Restarted => backend == Backend::Postgres,
        }
    }

    pub(super) fn effect(self) -> Effect {
        match self {
            Self::DiskFull => Effect::Disturbs,
            Self::Clock | Self::SecondServer => Effect::Serves,
            Self::Terminated => Effect::Instant,
            _ => Effect::Refuses,
        }
    }

    /// Returns how long the fault lasts: for most faults `seconds`, the value of `--seconds`.
    pub(super) fn duration(self, seconds: u64) -> Duration {
        Duration::from_secs(match self {
            Self::Terminated => 0,
            // A server checks its clock every ten seconds.
            Self::Clock => seconds.max(13),
            _ => seconds,
        })
    }

    /// Returns the maximum time from the end of the fault until the server serves again.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(match self {
            // A statement that Postgres does not answer ends after eight seconds.
            Self::Silent => 25,
            _ => 15,
        })
    }

    /// Returns a text that the server has to log while the fault lasts. `None` if the server need not log anything.
    pub(super) fn logged(self) -> Option<&'static str> {
        matches!(self, Self::FileRemoved | Self::FileReplaced).then_some("was removed or replaced")
    }

    /// Returns the name of the fault on the command line.
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}
