use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Fault;
use crate::Backend;

/// The command line arguments of `woosh-harness faults`.
#[derive(Debug, Clone, Args)]
pub(crate) struct FaultsArgs {
    /// The kinds of databases of the servers.
    #[arg(long, value_enum, default_value_t = Databases::All)]
    pub(super) database: Databases,
    /// Inject only this fault. Repeat the option for several faults.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(super) only: Vec<Fault>,
    /// The time for which each fault lasts, in seconds. `clock` lasts at least 13 seconds, because servers check their
    /// clock every ten seconds. `terminated` lasts only for a moment.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(super) seconds: u64,
    /// Write the results to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

/// The kinds of databases of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Databases {
    /// SQLite files.
    Sqlite,
    /// Postgres databases.
    Postgres,
    /// SQLite files first, then Postgres databases.
    All,
}

impl FaultsArgs {
    /// Returns the faults to inject, each with the kind of database.
    pub(super) fn cases(&self) -> Vec<(Backend, Fault)> {
        let backends: &[Backend] = match self.database {
            Databases::Sqlite => &[Backend::Sqlite],
            Databases::Postgres => &[Backend::Postgres],
            Databases::All => &[Backend::Sqlite, Backend::Postgres],
        };
        let faults = if self.only.is_empty() { Fault::value_variants() } else { &self.only };
        let cases = backends.iter().flat_map(|backend| faults.iter().map(|fault| (*backend, *fault)));
        cases.filter(|(backend, fault)| fault.applies_to(*backend)).collect()
    }
}
