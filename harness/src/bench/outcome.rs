use super::machine::Machine;
use super::sample::Series;

/// The result of a benchmark: the measured series, and a description of what was measured.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) series: Vec<Series>,
    pub(super) machine: Machine,
    /// The command line arguments, without the program name.
    pub(super) arguments: Vec<String>,
    /// A description of the measured server, for people.
    pub(super) target: String,
    /// The database and its version. `None` if they are unknown.
    pub(super) database: Option<String>,
}
