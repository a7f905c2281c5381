//! The Woosh server binary.

use std::process::ExitCode;

use clap::Parser as _;
use woosh_server::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("woosh-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}
