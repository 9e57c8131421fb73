use std::path::Path;

use serde_json::json;
use voxshield::pipeline::import;

use crate::{
    args::Format,
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(
    dicom: &Path,
    folder: &Path,
    format: Format,
    quiet: bool,
) -> anyhow::Result<Outcome> {
    let progress = Progress::new(quiet);
    let mut done = 0;
    let cases = import(dicom, folder, &mut |case| {
        done += 1;
        progress.at(done, done);
        progress.message(&case.id);
    });
    progress.finish();
    let cases = cases?;
    let good = cases.iter().all(|case| case.shape.is_ok());
    let text = |case: &voxshield::data::ImportedCase| match &case.shape {
        Ok([columns, rows, slices]) => format!("{columns} x {rows} x {slices}"),
        Err(error) => error.to_string(),
    };
    if format == Format::Json {
        let cases = cases.iter().map(|case| {
            let problem = case.shape.as_ref().err().map(ToString::to_string);
            json!({ "id": case.id, "shape": case.shape.as_ref().ok(), "labelled": case.labelled, "problem": problem })
        });
        output::json(&cases.collect::<Vec<_>>())?;
    } else {
        for case in &cases {
            let label = match (&case.shape, case.labelled) {
                (Err(_), _) => "NO",
                (_, true) => "with label",
                (_, false) => "no label",
            };
            output::line(format!("{}: {label}: {}", case.id, text(case)));
        }
    }
    Ok(Outcome::of(good))
}
