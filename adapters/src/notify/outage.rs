use std::error::Error;

use tokio::time::Instant;

/// Logs when something begins to fail and when it works again, once each.
pub(super) struct Outage {
    /// What fails, as in "can't …".
    action: &'static str,
    began: Option<Instant>,
}

impl Outage {
    /// Nothing fails so far.
    pub(super) const fn of(action: &'static str) -> Self {
        Self { action, began: None }
    }

    /// It fails.
    pub(super) fn began(&mut self, error: &dyn Error) {
        if self.began.is_none() {
            tracing::warn!(%error, "can't {}; other replicas' messages may arrive some seconds late", self.action);
            self.began = Some(Instant::now());
        }
    }

    /// It works.
    pub(super) fn ended(&mut self) {
        if let Some(began) = self.began.take() {
            tracing::info!("can {} again, after {:.1} seconds", self.action, began.elapsed().as_secs_f64());
        }
    }

    /// It worked or failed.
    pub(super) fn report<T, E: Error>(&mut self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.ended(),
            Err(error) => self.began(error),
        }
    }
}
