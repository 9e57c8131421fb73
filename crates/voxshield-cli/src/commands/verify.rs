use std::path::Path;

use voxshield::{
    data::PublicKey,
    pipeline::{CaseVerdict, MemoryLimit, verify_published, verify_signed, verify_within},
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
    let mut observer = |verdict: &CaseVerdict| {
        done += 1;
        progress.at(done, done);
        progress.message(&verdict.id);
    };
    let report = match &public_key {
        Some(key) => verify_signed(dataset, protected, key, max_memory, &mut observer),
        None => verify_within(dataset, protected, max_memory, &mut observer),
    };
    progress.finish();
    let report = report?;
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

/// Without the clean dataset: that the folder is what the owner signed.
pub(super) fn published(
    protected: &Path,
    public_key: &Path,
    format: Format,
) -> anyhow::Result<Outcome> {
    let report = verify_published(protected, &PublicKey::open(public_key)?)?;
    if format == Format::Json {
        output::json(&report)?;
        return Ok(Outcome::of(report.is_genuine()));
    }
    for problem in &report.problems {
        output::line(format!("NO  {problem}"));
    }
    if report.is_genuine() {
        output::line(format!(
            "the folder of {} cases is what the owner of the key signed; how much was changed, only the clean dataset can tell",
            report.cases
        ));
    }
    Ok(Outcome::of(report.is_genuine()))
}
