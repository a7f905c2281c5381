use crate::model::Timestamp;

/// The source of the current time. All code reads the time from this port, so that tests can set the time.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// Returns the current time. The time may jump backwards or forwards; callers MUST NOT lose messages if it does.
    fn now(&self) -> Timestamp;
}
