use std::fmt;

use clap::ValueEnum;

use super::sample::Sample;
use super::stage::Stage;
use super::workloads::{fan_out, growth, hot, mixed, receive, roundtrip, send, users, waiters};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Clients send to recipients in turn, who are offline.
    Send,
    /// Clients read mailboxes with 100 messages each, and acknowledge.
    Receive,
    /// One client sends, another one waits by long poll, then by stream. The server is otherwise idle.
    Roundtrip,
    /// Clients send while as many others read by long poll and acknowledge.
    Mixed,
    /// Clients send to 100 recipients at once, then to users with ten devices.
    FanOut,
    /// All clients send to one mailbox.
    Hot,
    /// Many readers wait by long poll, and each is sent one message.
    Waiters,
    /// Sends, and reads with acknowledgements, while the number of stored messages grows.
    Growth,
    /// Sends before and after many users are added at once, without statistics about them. Only on fresh servers.
    Users,
}

impl Workload {
    /// The workloads that are measured by default.
    pub(super) const DEFAULT: [Self; 6] =
        [Self::Send, Self::Receive, Self::Roundtrip, Self::Mixed, Self::FanOut, Self::Hot];

    /// Whether it is measured with each number of clients.
    pub(super) fn depends_on_clients(self) -> bool {
        match self {
            Self::Send | Self::Receive | Self::Mixed | Self::FanOut | Self::Hot => true,
            Self::Roundtrip | Self::Waiters | Self::Growth | Self::Users => false,
        }
    }

    /// Measures it once.
    pub(super) async fn run(self, stage: &Stage, clients: usize) -> anyhow::Result<Vec<Sample>> {
        match self {
            Self::Send => send::run(stage, clients).await,
            Self::Receive => receive::run(stage, clients).await,
            Self::Roundtrip => roundtrip::run(stage).await,
            Self::Mixed => mixed::run(stage, clients).await,
            Self::FanOut => fan_out::run(stage, clients).await,
            Self::Hot => hot::run(stage, clients).await,
            Self::Waiters => waiters::run(stage, clients).await,
            Self::Growth => growth::run(stage, clients).await,
            Self::Users => users::run(stage, clients).await,
        }
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
