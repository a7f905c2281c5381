//! Measures the elapsed time, and the CPU time that the server, the database and the load generator use. CPU times are
//! read from `/proc`.

mod cpu;
mod memory;

use std::time::Instant;

use super::target::Target;

pub(super) use self::cpu::first_process;
pub(super) use self::memory::{peak_mib, reset_peak, resident_kib};

/// The ids of the processes to measure.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Processes {
    pub(super) server: Option<u32>,
    /// Whether the database runs in processes of its own, as Postgres does.
    pub(super) has_database: bool,
    /// The id of the main process of the database, if it is known.
    pub(super) database: Option<u32>,
}

/// The elapsed time and the CPU times of a measured interval, in seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Usage {
    pub(super) wall: f64,
    /// CPU time of the server. `None` if it is unknown.
    pub(super) server: Option<f64>,
    pub(super) has_database: bool,
    /// CPU time of the database. `None` if it is unknown.
    pub(super) database: Option<f64>,
    pub(super) generator: f64,
    machine: Option<f64>,
}

/// A running measurement of the elapsed time and of CPU times. The measurement starts when this value is created.
pub(super) struct Meter {
    processes: Processes,
    start: Snapshot,
}

struct Snapshot {
    at: Instant,
    server: Option<f64>,
    database: Option<f64>,
    generator: Option<f64>,
    machine: Option<f64>,
}

impl Snapshot {
    fn take(processes: &Processes) -> Self {
        Self {
            server: processes.server.and_then(cpu::of_tree),
            database: processes.database.and_then(cpu::of_tree),
            generator: cpu::own(),
            machine: cpu::machine(),
            at: Instant::now(),
        }
    }
}

impl Meter {
    pub(super) fn start(target: &Target) -> Self {
        Self::of(target.processes())
    }

    pub(super) fn of(processes: Processes) -> Self {
        Self { processes, start: Snapshot::take(&processes) }
    }

    pub(super) fn stop(self) -> Usage {
        let (start, end) = (self.start, Snapshot::take(&self.processes));
        let between = |start: Option<f64>, end: Option<f64>| Some((end? - start?).max(0.0));
        Usage {
            wall: end.at.duration_since(start.at).as_secs_f64(),
            server: between(start.server, end.server),
            has_database: self.processes.has_database,
            database: between(start.database, end.database),
            generator: between(start.generator, end.generator).unwrap_or_default(),
            machine: between(start.machine, end.machine),
        }
    }
}

impl Usage {
    /// Adds the elapsed time and the CPU times of another interval.
    pub(super) fn add(&mut self, other: &Self) {
        let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
        self.wall += other.wall;
        self.server = sum(self.server, other.server);
        self.database = sum(self.database, other.database);
        self.generator += other.generator;
        self.machine = sum(self.machine, other.machine);
    }

    /// Returns the CPU time that processes other than the server, the database and the load generator used, in seconds.
    /// Returns `None` if a CPU time that is needed for this calculation is unknown.
    pub(super) fn others(&self) -> Option<f64> {
        let database = if self.has_database { self.database? } else { 0.0 };
        Some((self.machine? - self.server? - database - self.generator).max(0.0))
    }

    /// Converts `cpu`, a CPU time in seconds, to percent: 100 % means that all cores were busy during the whole
    /// interval.
    pub(super) fn share(&self, cpu: f64) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        100.0 * cpu / (self.wall * cores as f64)
    }
}
