use super::scale::{Scale, label};
use super::{WIDTH, svg};
use crate::bench::figure::Figure;
use crate::bench::sample::Series;

const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 40.0;

/// A line of a plot: its CSS class, its name and its points.
type Line = (&'static str, &'static str, Vec<(f64, f64)>);

/// Returns plots of throughput and CPU time over the number of stored messages. Empty if the workload `growth` was not
/// measured.
pub(super) fn plots(all: &[Series]) -> String {
    let growth: Vec<_> = all.iter().filter(|series| series.subject.stored.is_some()).collect();
    let lines = |value: &dyn Fn(&Series) -> Option<f64>| -> Vec<Line> {
        [("line", "sends"), ("line p90", "messages")]
            .map(|(class, noun)| {
                let of_noun = growth.iter().filter(|series| series.subject.noun == noun);
                let points = of_noun.filter_map(|series| Some((series.subject.stored? as f64, value(series)?)));
                (class, if noun == "sends" { "sends" } else { "reads" }, points.collect())
            })
            .into_iter()
            .filter(|(.., points): &Line| !points.is_empty())
            .collect()
    };
    let throughput = plot("Messages per second", &lines(&|series| series.median(Figure::Throughput)));
    let cpu = plot("CPU seconds of server and database per 1,000 messages", &lines(&total_cpu));
    throughput + &cpu
}

fn total_cpu(series: &Series) -> Option<f64> {
    let database =
        if series.figures.contains_key(&Figure::DatabaseCpu) { series.median(Figure::DatabaseCpu)? } else { 0.0 };
    Some(series.median(Figure::ServerCpu)? + database)
}

fn plot(title: &str, lines: &[Line]) -> String {
    let points = || lines.iter().flat_map(|(.., points)| points);
    let (Some(most), Some(highest)) =
        (points().map(|(x, _)| *x).reduce(f64::max), points().map(|(_, y)| *y).reduce(f64::max))
    else {
        return String::new();
    };
    let horizontal = Scale::linear(most, LEFT, WIDTH - RIGHT);
    let vertical = Scale::linear(highest * 1.05, HEIGHT - BOTTOM, TOP);
    let mut content = format!("<text x=\"{LEFT}\" y=\"20\">{title}</text>\n");
    for tick in vertical.ticks() {
        let y = vertical.position(tick);
        content += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            label(tick)
        );
    }
    for tick in horizontal.ticks() {
        let (x, y) = (horizontal.position(tick), HEIGHT - BOTTOM + 18.0);
        content +=
            &format!("<text class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>\n", label(tick));
    }
    let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 4.0);
    content +=
        &format!("<text class=\"soft\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">stored messages</text>\n");
    for (class, name, points) in lines {
        let place = |(x, y): &(f64, f64)| (horizontal.position(*x), vertical.position(*y));
        let text: Vec<_> = points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        content += &format!("<polyline class=\"{class}\" points=\"{}\"/>\n", text.join(" "));
        if let Some((x, y)) = points.last().map(place) {
            content += &format!("<text x=\"{:.1}\" y=\"{:.1}\">{name}</text>\n", x + 8.0, y + 4.0);
        }
    }
    svg(HEIGHT, title, &content)
}
