use std::error::Error;

/// A port could not do its step. The cause is for logs alone: it may name what clients must not see.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It is out of reach or too busy for now; the same step may go through later.
    #[error("unavailable for now")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It failed in a way that trying again won't mend.
    #[error("failed")]
    Fault(#[source] Box<dyn Error + Send + Sync>),
}

impl PortError {
    /// What is out of reach or too busy for now.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// What trying again won't mend.
    pub fn fault(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fault(cause.into())
    }
}
