mod demo;
mod devices;
mod evaluate;
mod inspect;
mod methods;
mod models;
mod preview;
mod protect;
mod verify;

use crate::{
    args::{Cli, Command},
    output::Outcome,
};

pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let (format, quiet) = (cli.format, cli.quiet);
    match cli.command {
        Command::Demo(args) => demo::run(&args, format, quiet),
        Command::Inspect { path, epsilon } => inspect::run(&path, epsilon, format),
        Command::Preview(args) => preview::run(&args, format, quiet),
        Command::Protect(args) => protect::run(&args, format, quiet),
        Command::Verify { dataset, output } => verify::run(&dataset, &output, format, quiet),
        Command::Evaluate(args) => evaluate::run(&args, format, quiet),
        Command::Models(args) => models::run(&args, format),
        Command::Methods => methods::run(format),
        Command::Devices => devices::run(format),
    }
}
