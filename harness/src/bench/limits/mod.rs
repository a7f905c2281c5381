//! What the machine can do at most, measured in the same run: the bounds that the workloads are compared with.

mod bulk;
mod echo;
mod fsync;

use std::path::Path;

pub(crate) use self::echo::serve;

use super::args::BenchArgs;
use super::sample::Sample;

/// The names of the limits that others are compared with.
pub(super) const BULK: &str = "limit: bulk insert";
pub(super) const ECHO: &str = "limit: echo";

/// Measures each limit once. Those of the database only if it is a fresh one.
pub(super) async fn run(program: &Path, args: &BenchArgs) -> anyhow::Result<Vec<Sample>> {
    let mut samples = Vec::new();
    if args.url.is_none() {
        samples.extend(fsync::run(args)?);
        samples.push(bulk::run(args).await?);
    }
    for clients in &args.clients {
        samples.push(echo::run(program, args, (*clients).into()).await?);
    }
    Ok(samples)
}
