use voxshield::pipeline::Method;

use crate::args::ProtectionArgs;

/// What to say about the seed before the work begins.
pub(super) fn about_seed(args: &ProtectionArgs, method: &Method) -> Option<String> {
    let keyed = match method {
        Method::Random { .. } => true,
        Method::ClosedForm { code, .. } => code.is_keyed(),
        _ => false,
    };
    match args.seed {
        Some(seed) if seed.drawn => Some(format!(
            "seed {0}, drawn for this run; it goes on with --seed {0}",
            seed.value
        )),
        None if keyed => Some(format!(
            "warning: the seed is all that keeps the noise of {} from being computed again, and it is 0 where none is given; pass --seed random, and keep voxshield.json, which has it, from those who are not to know it",
            method.name()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::protect::options, *};
    use crate::args::{Cli, Command};

    #[test]
    fn a_seed_that_is_the_only_key_is_asked_for_and_a_drawn_one_told() {
        let note = |flags: &str| {
            let line = format!("voxshield protect clean out {flags}");
            match Cli::try_parse_from(line.split_whitespace())
                .unwrap()
                .command
            {
                Command::Protect(args) => {
                    let method = options(&args.protection).unwrap().method;
                    (about_seed(&args.protection, &method), method.seed())
                }
                _ => unreachable!("the line says protect"),
            }
        };
        for name in [
            "random",
            "keyed-codes",
            "label-fields",
            "blocks",
            "autoregressive",
        ] {
            let (said, seed) = note(&format!("--method {name}"));
            let said = said.unwrap();
            assert!(seed == 0 && said.contains(name) && said.contains("--seed random"));
            // Whoever chooses a seed knows of it.
            assert_eq!(note(&format!("--method {name} --seed 0")).0, None);
        }
        for name in ["voxshield", "checkerboard", "contrast-inversion", "emn"] {
            assert_eq!(note(&format!("--method {name}")).0, None, "{name}");
        }
        let (said, seed) = note("--seed random");
        assert!(said.unwrap().contains(&format!("--seed {seed}")));
    }
}
