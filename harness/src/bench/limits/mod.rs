//! The limits: reference measurements of the most that this machine can do, such as its syncs per second. The table and
//! the report compare the workloads with these limits.

mod bulk;
mod echo;
mod fsync;

use std::path::Path;

pub(crate) use self::echo::serve;

use super::args::BenchArgs;
use super::sample::Sample;

/// The name of the reference measurement that inserts messages in bulk.
pub(super) const BULK: &str = "limit: bulk insert";
/// The name of the reference measurement with the echo server.
pub(super) const ECHO: &str = "limit: echo";

/// Takes the reference measurements of one run: of the disk, of bulk inserts, and of the echo server with each number
/// of clients. If a running server is measured, skips the disk and the bulk inserts, because the database of that
/// server may be on another machine.
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
