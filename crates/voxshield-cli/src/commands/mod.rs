mod demo;
mod devices;
mod evaluate;
mod import;
mod inspect;
mod keygen;
mod methods;
mod models;
mod preview;
mod protect;
mod seed;
mod signing;
mod unlock;
mod verify;

use crate::{
    args::{Cli, Command},
    output::Outcome,
};

pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let (format, quiet) = (cli.format, cli.quiet);
    match cli.command {
        Command::Demo(args) => demo::run(&args, format, quiet),
        Command::Inspect(args) => inspect::run(&args, format),
        Command::Import { dicom, output } => import::run(&dicom, &output, format, quiet),
        Command::Preview(args) => preview::run(&args, format, quiet),
        Command::Protect(args) => protect::run(&args, format, quiet),
        Command::Verify {
            dataset,
            output,
            public_key,
            max_memory,
        } => {
            let key = public_key.as_deref();
            match (output, key) {
                // The only folder is the protected one; the parser asks for a key then.
                (None, Some(key)) => verify::published(&dataset, key, format),
                (output, key) => {
                    let output = output.unwrap_or_default();
                    verify::run(&dataset, &output, key, max_memory, format, quiet)
                }
            }
        }
        Command::Unlock(args) => unlock::run(&args, format, quiet),
        Command::Keygen { key, signing } => keygen::run(&key, signing, format),
        Command::Evaluate(args) => evaluate::run(&args, format, quiet),
        Command::Models(args) => models::run(&args, format),
        Command::Methods => methods::run(format),
        Command::Devices => devices::run(format),
    }
}
