//! The report: a self-contained HTML page with a table and plots of the measured values.

mod bars;
mod html;
mod latencies;
mod lines;
mod scale;

use super::outcome::Outcome;
use super::ratios::Ratios;
use super::sample::Series;
use super::table::two_digits;

use self::html::escape;

/// Width of a plot, in SVG units.
const WIDTH: f64 = 900.0;
/// Width of the column of names at the left of a plot, in SVG units.
const NAMES: f64 = 300.0;

/// Returns the report as an HTML page.
pub(super) fn page(outcome: &Outcome) -> String {
    let series = &outcome.series;
    let plots = [
        section(
            "Operations per second",
            "A bar shows the median of all runs, and the line on it their range. Grey bars are the limits.",
            &bars::plot(series),
        ),
        section(
            "Latency",
            "The points are the medians of p50, p90 and p99, in milliseconds, on a logarithmic scale.",
            &latencies::plot(series),
        ),
        section("Growth", "How operations change with the number of stored messages.", &lines::plots(series)),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Woosh benchmark</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<h1>Woosh benchmark</h1>\n{}{}{}</body>\n</html>\n",
        include_str!("style.css"),
        facts(outcome),
        plots.concat(),
        section(
            "All figures",
            "Compare ratios, not absolute figures, which depend on the machine and on its other processes.",
            &table(series)
        ),
    )
}

/// Returns a section of the page, with a title and an explanation. Empty if `content` is empty.
fn section(title: &str, explanation: &str, content: &str) -> String {
    if content.is_empty() {
        return String::new();
    }
    format!("<h2>{title}</h2>\n<p>{explanation}</p>\n{content}\n")
}

/// Returns a list that describes the measured server, the machine and the command line.
fn facts(outcome: &Outcome) -> String {
    let machine = &outcome.machine;
    let memory = machine.memory.map_or_else(String::new, |mib| format!(", {:.1} GiB of memory", mib as f64 / 1024.0));
    let facts = [
        ("Version", env!("CARGO_PKG_VERSION").to_owned()),
        ("Command", format!("woosh-harness {}", outcome.arguments.join(" "))),
        ("Server", outcome.target.clone()),
        ("Database", outcome.database.clone().unwrap_or_else(|| "unknown".to_owned())),
        ("Machine", format!("{} cores{memory}, {}", machine.cores, machine.processor)),
        ("Kernel", machine.kernel.clone()),
    ];
    let facts = facts.map(|(name, value)| format!("<dt>{name}</dt><dd>{}</dd>\n", escape(&value)));
    format!("<dl>\n{}</dl>\n", facts.concat())
}

fn table(all: &[Series]) -> String {
    let ratios = Ratios::new(all);
    let mut rows = String::new();
    for series in all {
        let latency = match series.subject.latency {
            "" => String::new(),
            latency => format!(" <span>latency: the time {}</span>", escape(latency)),
        };
        rows +=
            &format!("<tr class=\"title\"><th colspan=\"5\">{}{latency}</th></tr>\n", escape(&series.subject.title()));
        for figure in series.figures.keys() {
            let spread = series.spread(*figure);
            let [median, min, max] = spread.map_or_else(
                || ["n/a".to_owned(), String::new(), String::new()],
                |spread| [spread.median, spread.min, spread.max].map(|value| figure.format(value)),
            );
            let ratios = ratios.of(series, *figure);
            let ratios = ratios.iter().map(|ratio| format!("{} × {}", two_digits(ratio.value), ratio.limit));
            let ratios = ratios.collect::<Vec<_>>().join(", ");
            let label = escape(&figure.label(series.subject.noun));
            rows +=
                &format!("<tr><td>{label}</td><td>{median}</td><td>{min}</td><td>{max}</td><td>{ratios}</td></tr>\n");
        }
    }
    format!(
        "<div class=\"scroll\"><table>\n<tr><th></th><th>median</th><th>min</th><th>max</th><th>against the limits</th></tr>\n\
         {rows}</table></div>"
    )
}

/// Wraps SVG elements in an SVG image of the given height.
fn svg(height: f64, label: &str, content: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{label}\">\n{content}</svg>")
}
