use std::path::Path;

use voxshield::{
    data::{MANIFEST_NAME, PublicKey},
    pipeline::{MemoryLimit, verify_within},
};

use crate::{
    args::Format,
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(
    dataset: &Path,
    protected: &Path,
    public_key: Option<&Path>,
    max_memory: Option<MemoryLimit>,
    format: Format,
    quiet: bool,
) -> anyhow::Result<Outcome> {
    let public_key = public_key.map(PublicKey::open).transpose()?;
    let progress = Progress::new(quiet);
    let mut done = 0;
    let report = verify_within(dataset, protected, max_memory, &mut |verdict| {
        done += 1;
        progress.at(done, done);
        progress.message(verdict.id.clone());
    });
    progress.finish();
    let mut report = report?;
    if let Some(key) = public_key
        && let Err(error) = key.check(&protected.join(MANIFEST_NAME))
    {
        report.problems.push(error.to_string());
    }
    if format == Format::Json {
        output::json(&report)?;
        return Ok(Outcome::of(report.is_kept()));
    }
    for case in report.cases.iter().filter(|case| !case.problems.is_empty()) {
        for problem in &case.problems {
            output::line(format!("NO  {}: {problem}", case.id));
        }
    }
    for problem in &report.problems {
        output::line(format!("NO  {problem}"));
    }
    let good = report
        .cases
        .iter()
        .filter(|case| case.problems.is_empty())
        .count();
    let worst = report
        .cases
        .iter()
        .map(|case| case.achieved)
        .fold(0.0, f64::max);
    output::line(format!(
        "{good} of {} cases keep every promise; largest |delta| {worst:.6}",
        report.cases.len()
    ));
    Ok(Outcome::of(report.is_kept()))
}
