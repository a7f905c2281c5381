use super::machine::Machine;
use super::sample::Series;

/// The result of a benchmark: the measured values of all workloads and reference measurements, and a description of
/// what was measured.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) series: Vec<Series>,
    pub(super) machine: Machine,
    /// The command line arguments, without the program name.
    pub(super) arguments: Vec<String>,
    /// A description of the measured server, for the report.
    pub(super) target: String,
    /// The database and its version, or `None` if they are unknown.
    pub(super) database: Option<String>,
}
