use std::fmt;

use clap::ValueEnum;

use super::sample::Sample;
use super::stage::Stage;
use super::workloads::{fan_out, growth, hot, mixed, receive, roundtrip, send, users, waiters};

/// What `bench` can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// Clients send messages to users whose devices are offline, to one user after another.
    Send,
    /// Clients read and acknowledge mailboxes with 100 messages each.
    Receive,
    /// One client sends to one waiting reader on an otherwise idle server. The reader waits first by long poll, then by
    /// event stream.
    Roundtrip,
    /// Clients send messages. At the same time, an equal number of readers receive them by long poll and acknowledge
    /// them.
    Mixed,
    /// Clients send messages that have 100 recipients each, then messages that have one recipient with ten devices.
    FanOut,
    /// All clients send to the same mailbox.
    Hot,
    /// Clients send one message to each of many readers, which all wait by long poll.
    Waiters,
    /// Clients send, then read and acknowledge. This is repeated while more and more messages are stored in mailboxes
    /// that the clients do not use.
    Growth,
    /// Clients send before and after many users are added in one transaction. Shows whether sends are slow until the
    /// database updates its statistics. Not possible with --url.
    Users,
}

impl Workload {
    /// The workloads that are measured by default.
    pub(super) const DEFAULT: [Self; 6] =
        [Self::Send, Self::Receive, Self::Roundtrip, Self::Mixed, Self::FanOut, Self::Hot];

    /// Returns whether the workload is measured with each number of clients in `--clients`. Otherwise it is measured
    /// only with the largest of these numbers.
    pub(super) fn depends_on_clients(self) -> bool {
        match self {
            Self::Send | Self::Receive | Self::Mixed | Self::FanOut | Self::Hot => true,
            Self::Roundtrip | Self::Waiters | Self::Growth | Self::Users => false,
        }
    }

    /// Measures the workload once.
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
