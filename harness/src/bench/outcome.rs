use super::machine::Machine;
use super::sample::Series;

/// What a benchmark measured, and on what.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) series: Vec<Series>,
    pub(super) machine: Machine,
    /// The command line without the program.
    pub(super) arguments: Vec<String>,
    /// The kind of server.
    pub(super) target: String,
    /// The database and its version. `None`: unknown.
    pub(super) database: Option<String>,
}
