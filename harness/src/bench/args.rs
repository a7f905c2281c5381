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
    /// The kind of database of fresh servers. Each run of each workload starts a fresh server on a fresh database.
    #[arg(long, value_enum, default_value_t = Backend::Sqlite, conflicts_with = "url")]
    pub(super) backend: Backend,
    /// The URL of a running server to measure instead of fresh servers. The benchmark does not delete the users that it
    /// registers, and can't measure the CPU and memory of the server.
    #[arg(long)]
    pub(super) url: Option<String>,
    /// The number of concurrent clients. Several numbers, separated by commas, are measured one after another.
    #[arg(long, value_name = "COUNT", value_delimiter = ',', default_values_t = [8, 32],
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(super) clients: Vec<u16>,
    /// The number of users that messages are sent to.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) users: u32,
    /// The size of the contents of a message, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 1024,
        value_parser = clap::value_parser!(u32).range(MIN_SIZE as i64..=65_536))]
    pub(super) size: u32,
    /// The duration of each measurement, in seconds. A warm-up of at most one second precedes each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(super) seconds: u32,
    /// The number of times that each workload is measured. The table shows the median, the lowest and the highest
    /// value.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(super) runs: u16,
    /// The number of stored messages at the end of the workload `growth`.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) stored: u64,
    /// The number of users that the workload `users` adds in one transaction.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(super) added_users: u32,
    /// The number of waiting readers in the workload `waiters`.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(super) waiters: u32,
    /// Write the figures of all runs and a description of this machine to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write an HTML page with the table and plots to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

impl BenchArgs {
    /// Returns the largest of the numbers of clients, for workloads that are measured with a single number of clients.
    pub(super) fn most_clients(&self) -> usize {
        self.clients.iter().copied().max().unwrap_or(1).into()
    }
}
