use crate::model::Timestamp;

/// Tells the time. Nothing else asks for it, so that tests can set it.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// The present moment. It may step back or leap ahead, as clocks do; nothing may be lost by that.
    fn now(&self) -> Timestamp;
}
