use voxshield::{
    data::{Identities, PublicKey},
    pipeline::{UnlockOptions, unlock},
};

use crate::{
    args::{Format, UnlockArgs},
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(args: &UnlockArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let identities = Identities::open(&args.identity)?;
    let public_key = args.public_key.as_deref();
    let options = UnlockOptions {
        public_key: public_key.map(PublicKey::open).transpose()?,
        max_memory: args.max_memory,
    };
    let progress = Progress::new(quiet);
    let mut done = 0;
    let (protected, restored) = (&args.protected, &args.restored);
    let report = unlock(protected, restored, &identities, &options, &mut |case| {
        done += 1;
        progress.at(done, done);
        progress.message(&case.id);
    });
    progress.finish();
    let report = report?;
    if options.public_key.is_none() {
        output::note(
            "not checked: who made these files; --public-key with the owner's key does that",
        );
    }
    if format == Format::Json {
        output::json(&report)?;
        return Ok(Outcome::of(report.is_complete()));
    }
    for case in &report.cases {
        if let Some(problem) = &case.problem {
            output::line(format!("NO  {}: {problem}", case.id));
        }
    }
    for problem in &report.problems {
        output::line(format!("NO  {problem}"));
    }
    let good = report.cases.iter().filter(|case| case.problem.is_none());
    output::line(format!(
        "{} of {} cases restored",
        good.count(),
        report.cases.len()
    ));
    Ok(Outcome::of(report.is_complete()))
}
