use std::panic::{AssertUnwindSafe, catch_unwind};

use super::SqlError;

/// Runs `work` that follows a commit, such as notifications. If `work` panics, only logs the panic: the data is stored,
/// and the task that has called this function must continue to store data.
pub(crate) fn after_commit(work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        tracing::error!(error = %SqlError::panicked(panic.as_ref()), "the work after a commit panicked");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained() {
        after_commit(|| panic!("on purpose"));
    }
}
