use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Fault;
use crate::Backend;
use crate::load::Outcome;

/// Maximum number of violations that are printed for a fault.
const MAX_VIOLATIONS: usize = 10;

/// The result of injecting one fault.
pub(super) struct Report {
    pub(super) backend: Backend,
    pub(super) fault: Fault,
    pub(super) result: Result,
}

pub(super) enum Result {
    /// The fault can't be injected on this machine, with the reason.
    Skipped(String),
    /// The run could not be completed.
    Broken(anyhow::Error),
    Done {
        observed: Observed,
        outcome: Outcome,
    },
}

/// What was observed while a fault lasted and after its end.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// The status of `/health/ready` at the end of the fault.
    pub(super) ready: Option<u16>,
    /// The time from the end of the fault until a message could be sent and read again.
    pub(super) served: Duration,
    /// What else happened.
    pub(super) note: Option<String>,
}

impl Report {
    pub(super) fn status(&self) -> &'static str {
        match &self.result {
            Result::Skipped(_) => "skipped",
            Result::Done { outcome, .. } if outcome.violations.is_empty() => "passed",
            Result::Done { .. } | Result::Broken(_) => "FAILED",
        }
    }

    pub(super) fn json(&self) -> Value {
        let mut document = json!({
            "database": self.backend.to_string(),
            "fault": self.fault.name(),
            "status": self.status().to_lowercase(),
        });
        match &self.result {
            Result::Skipped(reason) => document["reason"] = reason.as_str().into(),
            Result::Broken(error) => document["reason"] = format!("{error:#}").into(),
            Result::Done { observed, outcome } => {
                let answers = outcome.answers.iter().map(|(status, count)| (status.to_string(), (*count).into()));
                document["answers"] = Value::Object(answers.collect::<Map<_, _>>());
                document["no_response"] = outcome.no_response.into();
                document["ready"] = observed.ready.into();
                document["served_again_seconds"] = observed.served.as_secs_f64().into();
                document["limit_seconds"] = self.fault.limit().as_secs().into();
                document["accepted"] = outcome.accepted.into();
                document["lost"] = outcome.lost.into();
                document["duplicated"] = outcome.duplicated.into();
                document["violations"] = outcome.violations.clone().into();
                document["note"] = observed.note.clone().into();
            }
        }
        document
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (backend, name) = (self.backend.to_string(), self.fault.name());
        write!(f, "{backend:<8} {name:<13} {}: ", self.status())?;
        let (observed, outcome) = match &self.result {
            Result::Skipped(reason) => return f.write_str(reason),
            Result::Broken(error) => return write!(f, "{error:#}"),
            Result::Done { observed, outcome } => (observed, outcome),
        };
        for (status, count) in &outcome.answers {
            write!(f, "{status} × {count}, ")?;
        }
        write!(f, "no response × {}; ", outcome.no_response)?;
        if let Some(ready) = observed.ready {
            write!(f, "ready: {ready}; ")?;
        }
        if let Some(note) = &observed.note {
            write!(f, "{note}; ")?;
        }
        let (served, limit) = (observed.served.as_secs_f64(), self.fault.limit().as_secs());
        write!(f, "served again after {served:.2} s (limit {limit} s)")?;
        let Outcome { accepted, lost, duplicated, .. } = outcome;
        write!(f, "; {accepted} sends accepted, {lost} lost, {duplicated} duplicated")?;
        for violation in outcome.violations.iter().take(MAX_VIOLATIONS) {
            write!(f, "\n    {violation}")?;
        }
        match outcome.violations.len().saturating_sub(MAX_VIOLATIONS) {
            0 => Ok(()),
            more => write!(f, "\n    and {more} more"),
        }
    }
}
