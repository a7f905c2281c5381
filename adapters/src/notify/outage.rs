use std::error::Error;

use tokio::time::Instant;

/// Logs once when an action begins to fail, and once when it works again.
pub(super) struct Outage {
    /// The action, worded to complete the log message "can't …", for example `notify other replicas`.
    action: &'static str,
    /// When the action began to fail. `None` while the action works.
    began: Option<Instant>,
}

impl Outage {
    /// Creates the log of an action that has not failed yet.
    pub(super) const fn of(action: &'static str) -> Self {
        Self { action, began: None }
    }

    /// Records that the action failed. Logs the error if the action worked before.
    pub(super) fn began(&mut self, error: &dyn Error) {
        if self.began.is_none() {
            tracing::warn!(
                %error,
                "can't {}; waiting readers may receive other replicas' messages some seconds late",
                self.action
            );
            self.began = Some(Instant::now());
        }
    }

    /// Records that the action succeeded. Logs this if the action failed before.
    pub(super) fn ended(&mut self) {
        if let Some(began) = self.began.take() {
            tracing::info!("can {} again, after {:.1} seconds", self.action, began.elapsed().as_secs_f64());
        }
    }

    /// Records whether the action succeeded or failed. Logs this if the previous outcome was different.
    pub(super) fn report<T, E: Error>(&mut self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.ended(),
            Err(error) => self.began(error),
        }
    }
}
