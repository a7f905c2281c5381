//! The limits: reference measurements of the most that this machine can do, such as its syncs per second. Workloads are
//! compared with the limits from the same run.

mod bulk;
mod echo;
mod fsync;

use std::path::Path;

pub(crate) use self::echo::serve;

use super::args::BenchArgs;
use super::sample::Sample;

/// The names of the limits that workloads are compared with. A limit is a reference measurement on this machine.
pub(super) const BULK: &str = "limit: bulk insert";
pub(super) const ECHO: &str = "limit: echo";

/// Measures each limit (a reference measurement, with which workloads are compared) once. If a running server is
/// measured, skips the limits of the disk and of the database, because the database of that server may be on another
/// machine.
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
