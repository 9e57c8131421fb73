//! The command `voxshield`: thin over the library crate of the same name.
//!
//! stdout is the result (text, or JSON with `--format json`); everything else goes to stderr. Exit
//! code 0: done; 1: some cases failed or a check said no; 2: usage or internal error, or a result that stdout did not take. A
//! reader that stops early changes none of them.
#![forbid(unsafe_code)]

mod args;
mod commands;
mod output;
mod progress;

use std::process::ExitCode;

use clap::Parser;
use voxshield::pipeline::PipelineError;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_env("VOXSHIELD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let outcome = commands::run(cli).and_then(|outcome| output::finish().map(|()| outcome));
    match outcome {
        Ok(output::Outcome::Done) => ExitCode::SUCCESS,
        Ok(output::Outcome::Refused) => ExitCode::from(1),
        Err(error) => {
            output::error(&error);
            match error.downcast_ref::<PipelineError>() {
                Some(PipelineError::NoUsableCase { .. }) => ExitCode::from(1),
                _ => ExitCode::from(2),
            }
        }
    }
}
