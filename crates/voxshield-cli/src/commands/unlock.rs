use std::path::Path;

use voxshield::{data::Identities, pipeline::unlock};

use crate::{
    args::Format,
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(
    protected: &Path,
    restored: &Path,
    identity: &Path,
    format: Format,
    quiet: bool,
) -> anyhow::Result<Outcome> {
    let identities = Identities::open(identity)?;
    let progress = Progress::new(quiet);
    let mut done = 0;
    let report = unlock(protected, restored, &identities, &mut |case| {
        done += 1;
        progress.at(done, done);
        progress.message(case.id.clone());
    });
    progress.finish();
    let report = report?;
    if format == Format::Json {
        output::json(&report)?;
        return Ok(Outcome::of(report.is_complete()));
    }
    for case in &report.cases {
        if let Some(problem) = &case.problem {
            output::line(format!("NO  {}: {problem}", case.id));
        }
    }
    let good = report.cases.iter().filter(|case| case.problem.is_none());
    output::line(format!(
        "{} of {} cases restored",
        good.count(),
        report.cases.len()
    ));
    Ok(Outcome::of(report.is_complete()))
}
