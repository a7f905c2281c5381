use std::error::Error;

/// The failure of something that the use cases reach through a port (a trait of the domain), such as the database or
/// the password hasher. The cause is for logs only, because it may contain details that clients must not see.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Transient: the backend is unreachable or overloaded. The same call may succeed later.
    #[error("temporarily unavailable")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// The disk of the backend is full. The same call may succeed once there is space.
    #[error("no space left")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// Permanent: the same call would fail again.
    #[error("failed")]
    Fault(#[source] Box<dyn Error + Send + Sync>),
}

impl PortError {
    /// Wraps the cause of a transient failure.
    pub fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// Wraps the cause of a failure for lack of space.
    pub fn full(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Full(cause.into())
    }

    /// Wraps the cause of a permanent failure.
    pub fn fault(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Fault(cause.into())
    }
}
