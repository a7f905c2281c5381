use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::ratios::Ratios;
use super::sample::Series;

/// Returns the outcome of a benchmark as JSON.
pub(super) fn document(outcome: &Outcome) -> Value {
    let ratios = Ratios::new(&outcome.series);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "arguments": outcome.arguments,
        "target": outcome.target,
        "database": outcome.database,
        "machine": outcome.machine.json(),
        "series": outcome.series.iter().map(|series| describe(series, &ratios)).collect::<Vec<_>>(),
    })
}

fn describe(series: &Series, ratios: &Ratios<'_>) -> Value {
    let subject = &series.subject;
    let figures = series.figures.iter().map(|(figure, values)| {
        let spread = series.spread(*figure);
        let ratios = ratios.of(series, *figure).into_iter().map(|ratio| (ratio.limit.to_owned(), ratio.value.into()));
        let value = json!({
            "median": spread.map(|spread| spread.median),
            "min": spread.map(|spread| spread.min),
            "max": spread.map(|spread| spread.max),
            "runs": values,
            "ratios": ratios.collect::<Map<_, Value>>(),
        });
        (figure.key().to_owned(), value)
    });
    json!({
        "workload": subject.workload,
        "variant": subject.variant,
        "clients": subject.clients,
        "operation": subject.noun,
        "latency": subject.latency,
        "envelopes_per_operation": subject.stores,
        "stored": subject.stored,
        "figures": figures.collect::<Map<_, Value>>(),
    })
}
