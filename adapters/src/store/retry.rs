use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::OpenError;
use crate::pool::SettingError;
use crate::transient::is_transient;

/// How long to wait between two attempts to open a database.
const BACK_OFF: Duration = Duration::from_millis(500);

/// Why an attempt to open a database failed.
pub(crate) enum OpenFailure {
    /// A later attempt may succeed. The value is the error message.
    Transient(String),
    /// No later attempt will succeed.
    Permanent(OpenError),
}

impl OpenFailure {
    /// Converts an error: to [`Self::Transient`] if a later attempt may succeed, otherwise to [`Self::Permanent`].
    pub(crate) fn new(location: &str, error: sqlx::Error) -> Self {
        if is_transient(&error) {
            return Self::Transient(error.to_string());
        }
        let location = location.to_owned();
        Self::Permanent(match error {
            sqlx::Error::Configuration(cause) if cause.is::<SettingError>() => {
                OpenError::Setting { location, reason: cause.to_string() }
            }
            error => OpenError::Other { location, cause: error.into() },
        })
    }
}

impl From<OpenError> for OpenFailure {
    fn from(error: OpenError) -> Self {
        Self::Permanent(error)
    }
}

/// Opens a database. Repeats attempts that fail with a transient error until `timeout` has elapsed.
pub(crate) async fn retry<T, Attempt: Future<Output = Result<T, OpenFailure>>>(
    location: &str,
    timeout: Duration,
    mut attempt: impl FnMut() -> Attempt,
) -> Result<T, OpenError> {
    let start = Instant::now();
    loop {
        let reason = match attempt().await {
            Ok(opened) => return Ok(opened),
            Err(OpenFailure::Permanent(error)) => return Err(error),
            Err(OpenFailure::Transient(reason)) => reason,
        };
        let remaining = timeout.saturating_sub(start.elapsed());
        if remaining.is_zero() {
            return Err(OpenError::Unavailable { location: location.to_owned(), seconds: timeout.as_secs(), reason });
        }
        tracing::warn!(
            "the database {location} is unavailable; retrying for {} more seconds: {reason}",
            remaining.as_secs()
        );
        sleep(BACK_OFF.min(remaining)).await;
    }
}
