//! The binary `woosh-harness`: runs the command line.

use std::process::ExitCode;

use clap::Parser as _;
use woosh_harness::cli::Cli;

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
