use crate::model::Timestamp;

/// Tells the time. Nothing else asks for it, so that tests can set it.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// The present moment. It may step back, as clocks do; nothing but waiting may depend on it.
    fn now(&self) -> Timestamp;
}
