use std::panic::{AssertUnwindSafe, catch_unwind};

use super::SqlError;

/// Runs what follows a commit, such as notifications. If it panics, logs that: what is stored stays stored, and the writer has to
/// go on.
pub(crate) fn after_commit(work: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
        tracing::error!(error = %SqlError::panicked(panic.as_ref()), "can't finish a committed write");
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
