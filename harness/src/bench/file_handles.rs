use anyhow::ensure;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit on open files to the hard limit, for this process and for processes that it starts later.
pub(super) fn raise() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // Ignores an error: `ensure` reports it for workloads that need more open files.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

/// Fails if the limit on open files of this process is lower than `needed`.
pub(super) fn ensure(needed: u64) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    ensure!(
        limit >= needed,
        "needs {needed} open files, but the hard limit RLIMIT_NOFILE is {limit}: raise the limit (ulimit -Hn), or lower --waiters"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_limit() {
        raise();
        assert!(ensure(1).is_ok());
        if let Err(error) = ensure(u64::MAX) {
            assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        }
    }
}
