use std::path::PathBuf;

use clap::Args;

use super::contents::MIN_SIZE;
use super::workload::Workload;
use crate::Backend;

/// The command line arguments of `woosh-harness bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// The workloads to measure.
    #[arg(value_enum, value_name = "WORKLOAD", default_values_t = Workload::DEFAULT)]
    pub(super) workloads: Vec<Workload>,
    /// The kind of database of the servers that the benchmark starts. Each workload of each run gets a new server with
    /// a new database.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    pub(super) backend: Backend,
    /// The URL of a running server to measure, instead of servers that the benchmark starts. The CPU and memory of the
    /// running server can't be measured. The users that the benchmark registers remain on the server.
    #[arg(long)]
    pub(super) url: Option<String>,
    /// The number of concurrent clients. Separate several numbers with commas to measure them one after another.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [8, 32],
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) clients: Vec<u16>,
    /// The number of users that receive messages.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) users: u32,
    /// The size of the contents of a message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(MIN_SIZE as i64..=65_536))]
    pub(super) size: u32,
    /// The duration of each measurement, in seconds. Before each measurement, the clients warm up for at most one
    /// second.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) seconds: u32,
    /// The number of times that each workload is measured. The table shows the median, the lowest and the highest
    /// value.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) runs: u16,
    /// The number of messages that are stored at the end of the workload `growth`.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) stored: u64,
    /// The number of users that the workload `users` adds in one transaction.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) added_users: u32,
    /// The number of readers that wait at the same time in the workload `waiters`.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(super) waiters: u32,
    /// Write all measured values of all runs, with a description of this machine, to this file as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write an HTML page with the table and plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

impl BenchArgs {
    /// Returns the largest of the given numbers of clients. Some workloads are measured only with this number.
    pub(super) fn most_clients(&self) -> usize {
        self.clients.iter().copied().max().unwrap_or(1).into()
    }
}
