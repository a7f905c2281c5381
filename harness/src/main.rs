//! The binary `woosh-harness`: runs the command line.

use std::process::ExitCode;

use clap::Parser as _;
use tikv_jemallocator::Jemalloc;
use woosh_harness::cli::Cli;

/// The same allocator as in `woosh-server`, because this binary runs servers, too.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("woosh-harness: {error:#}");
            ExitCode::FAILURE
        }
    }
}
