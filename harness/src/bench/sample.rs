//! What a run measures, and the series that the runs add up to.

use std::collections::BTreeMap;

use super::figure::Figure;
use super::measure::Usage;
use super::stats::{Spread, percentile};

/// What a row of the table is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Subject {
    /// The name of the workload or limit.
    pub(super) workload: String,
    /// What distinguishes it from other series of the workload; may be empty.
    pub(super) variant: String,
    /// What one operation is, in the plural.
    pub(super) noun: &'static str,
    /// What the latency is the time of; empty if no latency is measured.
    pub(super) latency: &'static str,
    /// The number of clients, if it can be chosen.
    pub(super) clients: Option<usize>,
    /// Whether operations follow each other without a pause. Otherwise their throughput says nothing.
    pub(super) without_pause: bool,
    /// How many envelopes an operation stores.
    pub(super) stores: f64,
    /// The number of stored messages that a growth series was measured with.
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

    /// The same, for clients whose operations follow each other without a pause.
    pub(super) fn clients(self, clients: usize) -> Self {
        Self { clients: Some(clients), ..self }.without_pause()
    }

    /// The same, for operations that follow each other without a pause.
    pub(super) fn without_pause(self) -> Self {
        Self { without_pause: true, ..self }
    }

    /// The same, for operations that store envelopes.
    pub(super) fn storing(self, envelopes: usize) -> Self {
        Self { stores: envelopes as f64, ..self }
    }

    /// The same, with so many messages in the store.
    pub(super) fn stored(self, messages: u64) -> Self {
        Self { stored: Some(messages), ..self }
    }

    /// The title in the table and the report.
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

/// What one run measured of a subject.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) subject: Subject,
    /// `None`: it can't be known.
    pub(super) figures: BTreeMap<Figure, Option<f64>>,
}

impl Sample {
    /// Works out the figures of latencies, which are in microseconds and need not be sorted.
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

    /// Works out throughput and latencies. The throughput of operations with pauses is left out.
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

    /// Works out throughput and latencies, and what the operations cost.
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

    /// The same with another figure.
    pub(super) fn with(mut self, figure: Figure, value: Option<f64>) -> Self {
        self.figures.insert(figure, value);
        self
    }
}

/// What all runs measured of a subject.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) subject: Subject,
    /// The values of each run. Empty: unknown.
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

/// Adds a sample to its series, which is created if it is the first one.
pub(super) fn collect(all: &mut Vec<Series>, sample: Sample) {
    let index = all.iter().position(|series| series.subject == sample.subject).unwrap_or_else(|| {
        all.push(Series { subject: sample.subject.clone(), figures: BTreeMap::new() });
        all.len() - 1
    });
    for (figure, value) in sample.figures {
        all[index].figures.entry(figure).or_default().extend(value);
    }
}
