//! Samples and series. A sample has the values that one run has measured for a workload or a reference measurement. A
//! series has the values from all runs.

use std::collections::BTreeMap;

use super::figure::Figure;
use super::measure::Usage;
use super::stats::{Spread, percentile};

/// What was measured: a workload or a reference measurement, with its variant and parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subject {
    /// The name of the workload or reference measurement.
    pub(super) workload: String,
    /// Tells several measurements of the same workload apart, such as `long poll` and `stream`. Empty if there is only
    /// one.
    pub(super) variant: String,
    /// The plural noun for the operations, such as `sends`.
    pub(super) noun: &'static str,
    /// Describes the measured latency. The text continues the words "the time", such as `from a send to its response`.
    /// Empty if no latency is measured.
    pub(super) latency: &'static str,
    /// The number of clients. `None` if the measurement does not depend on the number of clients.
    pub(super) clients: Option<usize>,
    /// Whether each client starts an operation as soon as its previous operation is complete. If not, the throughput is
    /// not reported, because it would depend on the pauses.
    pub(super) without_pause: bool,
    /// The number of envelopes that one operation stores.
    pub(super) stores: f64,
    /// For the workload `growth`: the number of messages that are stored in mailboxes that the measured clients do not
    /// use. Otherwise `None`.
    pub(super) stored: Option<u64>,
}

impl Subject {
    pub(super) fn new(workload: &str, variant: impl Into<String>, noun: &'static str, latency: &'static str) -> Self {
        let variant = variant.into();
        Self {
            workload: workload.to_owned(),
            variant,
            noun,
            latency,
            clients: None,
            without_pause: false,
            stores: 0.0,
            stored: None,
        }
    }

    /// Sets the number of clients, and sets `without_pause`.
    pub(super) fn clients(self, clients: usize) -> Self {
        Self { clients: Some(clients), ..self }.without_pause()
    }

    /// Declares that each client starts an operation as soon as its previous operation is complete, so that the
    /// throughput is meaningful and is reported.
    pub(super) fn without_pause(self) -> Self {
        Self { without_pause: true, ..self }
    }

    /// Sets the number of envelopes that one operation stores.
    pub(super) fn storing(self, envelopes: usize) -> Self {
        Self { stores: envelopes as f64, ..self }
    }

    /// For the workload `growth`: sets the number of messages that are stored in mailboxes that the measured clients do
    /// not use.
    pub(super) fn stored(self, messages: u64) -> Self {
        Self { stored: Some(messages), ..self }
    }

    /// Returns the title of the measurement in the table and in the report.
    pub(super) fn title(&self) -> String {
        let clients = match self.clients {
            Some(1) => ", 1 client".to_owned(),
            Some(clients) => format!(", {clients} clients"),
            None => String::new(),
        };
        let variant = if self.variant.is_empty() { String::new() } else { format!(", {}", self.variant) };
        format!("{}{variant}{clients}", self.workload)
    }
}

/// The values that one run has measured for a workload or a reference measurement.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) subject: Subject,
    /// The measured value of each kind. `None` if the value is unknown.
    pub(super) figures: BTreeMap<Figure, Option<f64>>,
}

impl Sample {
    /// Creates a sample with the percentiles of `latencies`, and no other values. `latencies` are in microseconds, in
    /// any order.
    pub(super) fn latencies(subject: Subject, mut latencies: Vec<u32>) -> Self {
        let mut figures = BTreeMap::new();
        latencies.sort_unstable();
        for (figure, percent) in [(Figure::P50, 50), (Figure::P90, 90), (Figure::P99, 99)] {
            if let Some(micros) = percentile(&latencies, percent) {
                figures.insert(figure, Some(f64::from(micros) / 1000.0));
            }
        }
        Self { subject, figures }
    }

    /// Creates a sample without CPU times, with the percentiles of `latencies`. If `subject.without_pause` is set, adds
    /// the throughput: `operations` divided by the elapsed time. Then, if an operation stores more than one envelope,
    /// also adds the envelopes stored per second.
    pub(super) fn bare(subject: Subject, operations: u64, usage: &Usage, latencies: Vec<u32>) -> Self {
        let mut sample = Self::latencies(subject, latencies);
        if sample.subject.without_pause {
            let rate = operations as f64 / usage.wall;
            sample.figures.insert(Figure::Throughput, Some(rate));
            if sample.subject.stores > 1.0 {
                sample.figures.insert(Figure::Envelopes, Some(rate * sample.subject.stores));
            }
        }
        sample
    }

    /// Creates a sample like [`Self::bare`], and adds the CPU times.
    pub(super) fn new(subject: Subject, operations: u64, usage: &Usage, latencies: Vec<u32>) -> Self {
        let mut sample = Self::bare(subject, operations, usage, latencies);
        let figures = &mut sample.figures;
        let per_thousand = |cpu: Option<f64>| Some(cpu? * 1000.0 / operations as f64).filter(|_| operations > 0);
        figures.insert(Figure::ServerCpu, per_thousand(usage.server));
        if usage.has_database {
            figures.insert(Figure::DatabaseCpu, per_thousand(usage.database));
        }
        figures.insert(Figure::Generator, Some(usage.share(usage.generator)));
        figures.insert(Figure::Others, usage.others().map(|others| usage.share(others)));
        sample
    }

    /// Adds a measured value to the sample. `None` records that the value is unknown.
    pub(super) fn with(mut self, figure: Figure, value: Option<f64>) -> Self {
        self.figures.insert(figure, value);
        self
    }
}

/// The values that all runs have measured for a workload or a reference measurement.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) subject: Subject,
    /// The measured values: for each kind, one value for each run in which the value is known.
    pub(super) figures: BTreeMap<Figure, Vec<f64>>,
}

impl Series {
    pub(super) fn spread(&self, figure: Figure) -> Option<Spread> {
        Spread::of(self.figures.get(&figure)?)
    }

    pub(super) fn median(&self, figure: Figure) -> Option<f64> {
        Some(self.spread(figure)?.median)
    }
}

/// Adds the values of `sample` to the series of the same measurement, which has the values of earlier runs. If there is
/// no such series yet, creates it.
pub(super) fn collect(all: &mut Vec<Series>, sample: Sample) {
    let index = all.iter().position(|series| series.subject == sample.subject).unwrap_or_else(|| {
        all.push(Series { subject: sample.subject.clone(), figures: BTreeMap::new() });
        all.len() - 1
    });
    for (figure, value) in sample.figures {
        all[index].figures.entry(figure).or_default().extend(value);
    }
}
