use super::figure::Figure;
use super::limits::{BULK, ECHO};
use super::sample::Series;

/// Compares workloads with the limits, which are reference measurements: divides median values of the workloads by
/// median values of the limits.
pub(super) struct Ratios<'a> {
    all: &'a [Series],
}

/// A median value of a workload, divided by a median value of a limit, which is a reference measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ratio {
    pub(super) limit: &'static str,
    pub(super) value: f64,
}

impl<'a> Ratios<'a> {
    pub(super) fn new(all: &'a [Series]) -> Self {
        Self { all }
    }

    /// Divides the workload's value of the kind `figure` by values of the limits:
    ///
    /// - The envelopes stored per second are divided by the throughput of bulk inserts.
    /// - If each operation stores one envelope, throughput, p50, p99 and server CPU are divided by those of the echo
    ///   server with the same number of clients.
    ///
    /// Returns no ratios for other kinds of values.
    pub(super) fn of(&self, series: &Series, figure: Figure) -> Vec<Ratio> {
        let subject = &series.subject;
        if subject.workload.starts_with("limit:") {
            return Vec::new();
        }
        let bulk = || {
            let limit = self.all.iter().find(|limit| limit.subject.workload == BULK)?;
            let stored = subject.stores * series.median(Figure::Throughput)?;
            Some(Ratio { limit: "bulk insert", value: stored / limit.median(Figure::Throughput)? })
        };
        let echo = || {
            let is_limit = |limit: &&Series| limit.subject.workload == ECHO && limit.subject.clients == subject.clients;
            let limit = self.all.iter().find(is_limit)?;
            Some(Ratio { limit: "echo", value: series.median(figure)? / limit.median(figure)? })
        };
        let stores = match figure {
            Figure::Throughput => subject.stores == 1.0,
            Figure::Envelopes => true,
            _ => false,
        };
        // The echo server receives sends of one message to one device, so only workloads that send the same are
        // compared.
        let compares = subject.clients.is_some()
            && subject.stores == 1.0
            && matches!(figure, Figure::Throughput | Figure::P50 | Figure::P99 | Figure::ServerCpu);
        let bulk = if stores { bulk() } else { None };
        let echo = if compares { echo() } else { None };
        bulk.into_iter().chain(echo).filter(|ratio| ratio.value.is_finite()).collect()
    }
}
