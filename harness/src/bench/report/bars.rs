use super::scale::{Scale, label};
use super::{NAMES, WIDTH, escape, svg};
use crate::bench::figure::Figure;
use crate::bench::sample::Series;

const ROW: f64 = 26.0;
const TOP: f64 = 24.0;
/// Width of the text after a bar, which shows the value, in SVG units.
const VALUE: f64 = 135.0;

/// Returns a bar chart of the throughput of each reference measurement, and of each workload except `growth`. Empty if
/// no throughput was measured.
pub(super) fn plot(all: &[Series]) -> String {
    let bars: Vec<_> = all
        .iter()
        .filter(|series| series.subject.stored.is_none())
        .filter_map(|series| {
            let figure =
                if series.figures.contains_key(&Figure::Envelopes) { Figure::Envelopes } else { Figure::Throughput };
            Some((series, figure, series.spread(figure)?))
        })
        .collect();
    let Some(max) = bars.iter().map(|(_, _, spread)| spread.max).reduce(f64::max) else { return String::new() };
    let height = TOP + ROW * bars.len() as f64;
    let scale = Scale::linear(max, NAMES, WIDTH - VALUE);
    let mut content = String::new();
    for tick in scale.ticks() {
        let x = scale.position(tick);
        content += &format!(
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{height:.1}\"/>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"14\" text-anchor=\"middle\">{}</text>\n",
            label(tick)
        );
    }
    for (index, (series, figure, spread)) in bars.iter().enumerate() {
        let middle = TOP + ROW * (index as f64 + 0.5);
        let class = if series.subject.workload.starts_with("limit:") { "limit" } else { "bar" };
        let (end, low, high) = (scale.position(spread.median), scale.position(spread.min), scale.position(spread.max));
        content += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{NAMES}\" y=\"{:.1}\" width=\"{:.1}\" height=\"16\" rx=\"2\"/>\
             <line class=\"spread\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{} {}</text>\n",
            NAMES - 10.0,
            middle + 4.0,
            escape(&series.subject.title()),
            middle - 8.0,
            end - NAMES,
            high + 8.0,
            middle + 4.0,
            figure.format(spread.median),
            if *figure == Figure::Envelopes { "envelopes" } else { short(series.subject.noun) },
        );
    }
    svg(height, "Operations per second", &content)
}

/// Returns the first word of `noun`, such as `messages` for `messages sent and received`. A bar has no room for more.
fn short(noun: &str) -> &str {
    noun.split(' ').next().unwrap_or(noun)
}
