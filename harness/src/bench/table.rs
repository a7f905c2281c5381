use super::ratios::Ratios;
use super::sample::Series;

/// The width of a column of numbers, in characters.
const NUMBER: usize = 11;

/// Formats the measured values of all workloads and reference measurements as a table for a terminal.
pub(super) fn format(all: &[Series]) -> String {
    let ratios = Ratios::new(all);
    let label = |series: &Series| series.figures.keys().map(|figure| figure.label(series.subject.noun).len()).max();
    let width = all.iter().filter_map(label).max().unwrap_or_default();
    let mut text =
        format!("{:width$}  {:>NUMBER$}  {:>NUMBER$} .. {:<NUMBER$}  against the limits\n", "", "median", "min", "max");
    for series in all {
        text += &format!("\n{}\n", series.subject.title());
        for figure in series.figures.keys() {
            let label = format!("  {}", figure.label(series.subject.noun));
            let width = width + 2;
            let row = match series.spread(*figure) {
                None => format!("{label:width$}{:>NUMBER$}", "n/a"),
                Some(spread) => {
                    let [median, min, max] = [spread.median, spread.min, spread.max].map(|value| figure.format(value));
                    let ratios = ratios.of(series, *figure);
                    let ratios = ratios.iter().map(|ratio| format!("{} × {}", two_digits(ratio.value), ratio.limit));
                    let ratios = ratios.collect::<Vec<_>>().join(", ");
                    format!("{label:width$}{median:>NUMBER$}  {min:>NUMBER$} .. {max:<NUMBER$}  {ratios}")
                }
            };
            text += row.trim_end();
            text.push('\n');
        }
        if !series.subject.latency.is_empty() {
            text += &format!("  (p50, p90, p99: the time {})\n", series.subject.latency);
        }
    }
    text
}

/// Formats a ratio. The number of decimals depends on its size: from none, if the ratio is at least 10, to three, if
/// the ratio is below 0.1.
pub(super) fn two_digits(value: f64) -> String {
    match value {
        value if value >= 10.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value if value >= 0.1 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}
