/// A kind of value that is measured for a workload. The table lists the values in the order of these variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Figure {
    /// Operations per second.
    Throughput,
    /// Envelopes stored per second. Only for operations that store more than one envelope.
    Envelopes,
    /// The median latency, in milliseconds.
    P50,
    /// The 90th percentile of the latency, in milliseconds.
    P90,
    /// The 99th percentile of the latency, in milliseconds.
    P99,
    /// CPU seconds of the server per 1,000 operations.
    ServerCpu,
    /// CPU seconds of Postgres per 1,000 operations.
    DatabaseCpu,
    /// The share of the machine's CPU time that the load generator used, in percent.
    Generator,
    /// The share of the machine's CPU time that other processes used, in percent: neither the server, nor the database,
    /// nor the load generator.
    Others,
    /// The maximum resident memory of the server, in MiB.
    PeakMemory,
    /// The growth of the server's resident memory per waiting reader, in KiB.
    MemoryPerWaiter,
}

impl Figure {
    /// Returns the field name of this kind of value in the JSON output.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Throughput => "operations_per_second",
            Self::Envelopes => "envelopes_per_second",
            Self::P50 => "p50_ms",
            Self::P90 => "p90_ms",
            Self::P99 => "p99_ms",
            Self::ServerCpu => "server_cpu_seconds_per_1000",
            Self::DatabaseCpu => "database_cpu_seconds_per_1000",
            Self::Generator => "generator_percent",
            Self::Others => "others_percent",
            Self::PeakMemory => "server_peak_memory_mib",
            Self::MemoryPerWaiter => "memory_per_waiter_kib",
        }
    }

    /// Returns the label of this kind of value in the table. `noun` is the plural noun for the operations, such as
    /// `sends`.
    pub(super) fn label(self, noun: &str) -> String {
        match self {
            Self::Throughput => format!("{noun}/s"),
            Self::Envelopes => "envelopes/s".to_owned(),
            Self::P50 => "p50, ms".to_owned(),
            Self::P90 => "p90, ms".to_owned(),
            Self::P99 => "p99, ms".to_owned(),
            Self::ServerCpu => format!("server CPU, s per 1,000 {noun}"),
            Self::DatabaseCpu => format!("database CPU, s per 1,000 {noun}"),
            Self::Generator => "generator, % of the machine".to_owned(),
            Self::Others => "others, % of the machine".to_owned(),
            Self::PeakMemory => "server peak memory, MiB".to_owned(),
            Self::MemoryPerWaiter => "memory per waiter, KiB".to_owned(),
        }
    }

    /// Formats a measured value of this kind. Each kind has a fixed number of decimals.
    pub(super) fn format(self, value: f64) -> String {
        match self {
            Self::Throughput | Self::Envelopes => thousands(value),
            Self::P50 | Self::P90 | Self::P99 => format!("{value:.2}"),
            Self::ServerCpu | Self::DatabaseCpu => format!("{value:.4}"),
            Self::Generator | Self::Others => format!("{value:.0}"),
            Self::PeakMemory | Self::MemoryPerWaiter => format!("{value:.1}"),
        }
    }
}

/// Formats a number rounded to an integer, with commas between groups of three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated_by_commas() {
        let format = |value| Figure::Throughput.format(value);
        assert_eq!([0.4, 12.0, 999.0].map(format), ["0", "12", "999"]);
        assert_eq!([1000.0, 12_345.6, 1_234_567.0].map(format), ["1,000", "12,346", "1,234,567"]);
    }
}
