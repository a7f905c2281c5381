use super::scale::{Scale, label};
use super::{NAMES, WIDTH, escape, svg};
use crate::bench::figure::Figure;
use crate::bench::sample::Series;

const ROW: f64 = 24.0;
const TOP: f64 = 44.0;
const PERCENTILES: [(Figure, &str, &str); 3] =
    [(Figure::P50, "bar", "p50"), (Figure::P90, "p90", "p90"), (Figure::P99, "p99", "p99")];

/// Returns a plot of the latency percentiles of each reference measurement, and of each workload except `growth`. Empty
/// if no latencies were measured.
pub(super) fn plot(all: &[Series]) -> String {
    let rows: Vec<_> = all
        .iter()
        .filter(|series| series.subject.stored.is_none())
        .filter_map(|series| {
            let [p50, p90, p99] = PERCENTILES.map(|(figure, ..)| series.median(figure).filter(|value| *value > 0.0));
            Some((series, [p50?, p90?, p99?]))
        })
        .collect();
    let values = || rows.iter().flat_map(|(_, values)| *values);
    let (Some(min), Some(max)) = (values().reduce(f64::min), values().reduce(f64::max)) else { return String::new() };
    let height = TOP + ROW * rows.len() as f64;
    let scale = Scale::logarithmic(min, max, NAMES, WIDTH - 30.0);
    let mut content = String::new();
    for (index, (_, class, name)) in PERCENTILES.iter().enumerate() {
        let x = NAMES + 60.0 * index as f64;
        content += &format!(
            "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"10\" r=\"5\"/><text x=\"{:.1}\" y=\"14\">{name}</text>\n",
            x + 10.0
        );
    }
    for tick in scale.ticks() {
        let x = scale.position(tick);
        content += &format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{height:.1}\"/>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"36\" text-anchor=\"middle\">{} ms</text>\n",
            label(tick)
        );
    }
    for (index, (series, values)) in rows.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let [first, second, last] = values.map(|value| scale.position(value));
        content += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <line class=\"range\" x1=\"{first:.1}\" x2=\"{last:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
            NAMES - 10.0,
            middle + 4.0,
            escape(&series.subject.title()),
        );
        for ((figure, class, name), (x, value)) in PERCENTILES.iter().zip([first, second, last].into_iter().zip(values))
        {
            content += &format!(
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{middle:.1}\" r=\"5\"><title>{name}: {} ms</title></circle>",
                figure.format(*value)
            );
        }
        content.push('\n');
    }
    svg(height, "Latency in milliseconds", &content)
}
