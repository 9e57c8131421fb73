use super::CaseVerdict;
use std::path::Path;

use crate::{
    data::{CaseRecord, compare_files, file_parts},
    pipeline::{
        PipelineError, PreparedCase, ProtectOptions, Scanned, room::Room, scan::ScannedCase,
        write::manifest_path,
    },
};

pub(super) fn judge(
    scanned: &Scanned,
    record: &CaseRecord,
    output: &Path,
    options: &ProtectOptions,
) -> CaseVerdict {
    let mut verdict = CaseVerdict {
        id: record.id.clone(),
        achieved: 0.0,
        changed: 0,
        problems: Vec::new(),
    };
    let clean = scanned.cases.iter().find(|case| case.case.id == record.id);
    let checked = match clean {
        None => {
            let why = scanned.failed.iter().find(|case| case.id == record.id);
            let why = why.map_or_else(String::new, |case| format!(": {}", case.reason));
            Err(format!("the clean dataset has no such usable case{why}"))
        }
        Some(clean) => check_case(scanned, clean, record, output, options, &mut verdict)
            .map_err(|error| error.to_string()),
    };
    verdict.problems.extend(checked.err());
    verdict
}

fn check_case(
    scanned: &Scanned,
    clean: &ScannedCase,
    record: &CaseRecord,
    output: &Path,
    options: &ProtectOptions,
    verdict: &mut CaseVerdict,
) -> Result<(), PipelineError> {
    let (dataset, problems) = (&scanned.dataset, &mut verdict.problems);
    let unread: Vec<&str> = scanned.failed.iter().map(|case| case.id.as_str()).collect();
    if clean.ranges != record.ranges {
        problems.push(match unread.as_slice() {
            [] => "the intensity ranges differ from those of the clean dataset".to_owned(),
            unread => format!(
                "the intensity ranges differ from those of the clean dataset, of which these cases could not be read now: {}",
                unread.join(", ")
            ),
        });
    }
    if record.files.len() != clean.case.images.len() {
        problems.push("the manifest lists another number of files".to_owned());
    }
    for (relative, file) in clean.case.images.iter().zip(&record.files) {
        if manifest_path(relative) != file.path {
            problems.push(format!(
                "{}: the manifest says {}",
                relative.display(),
                file.path
            ));
        }
        if !file.is_source(&dataset.root.join(relative))? {
            problems.push(format!(
                "{}: the clean file is not the one that was protected",
                file.path
            ));
        }
    }
    let listed = record.labels.iter().map(|label| &label.path);
    if !labels_of(clean, &dataset.root)?.iter().eq(listed) {
        problems.push("the manifest does not list the case's label files".to_owned());
    }
    let _room = Room::of_case(dataset, &clean.case);
    let prepared = PreparedCase::open_with(dataset, &clean.case, options.labels)?;
    let epsilon = options.method.epsilon();
    let steps = prepared.volume.epsilon_stored(&clean.ranges, epsilon)?;
    let shares = prepared.support(options, &clean.case.id, &clean.ranges)?;
    drop(prepared);
    let files: Vec<_> = clean
        .case
        .images
        .iter()
        .map(|relative| output.join(relative))
        .collect();
    let images = dataset.absolute(&clean.case.images);
    let found = compare_files(&images, &files, &clean.ranges, epsilon, &shares)?;
    if found.over_budget > 0 {
        let worst = found.worst.as_ref().map_or_else(String::new, |w| {
            format!(
                "; worst at stored index {:?}, channel {}: {:.6}",
                w.index, w.channel, w.amount
            )
        });
        problems.push(format!(
            "{} voxels are beyond epsilon, or their share of it{worst}",
            found.over_budget
        ));
    }
    if found.outside_support > 0 {
        problems.push(format!(
            "{} voxels changed outside the support",
            found.outside_support
        ));
    }
    if !found.header_equal {
        problems.push("the header or its extensions changed".to_owned());
    }
    if !found.trailing_equal {
        problems.push("the bytes after the voxels changed".to_owned());
    }
    if found.changed == 0 {
        problems.push("no voxel changed: this is the original".to_owned());
    }
    let told = (
        record.achieved,
        record.changed_voxels,
        &record.epsilon_stored,
    );
    if told != (found.achieved, found.changed, &steps) {
        problems.push("the manifest says another largest change, number of changed voxels or epsilon in stored steps than the files have".to_owned());
    }
    verdict.achieved = found.achieved;
    verdict.changed = found.changed;
    Ok(())
}

/// The label files of a case, both halves of a pair; the folder's check compares them with their sources.
fn labels_of(clean: &ScannedCase, root: &Path) -> Result<Vec<String>, PipelineError> {
    let Some(relative) = &clean.case.label else {
        return Ok(Vec::new());
    };
    let parts = file_parts(&root.join(relative))?;
    let names = parts.iter().filter_map(|part| part.file_name());
    let paths = names.map(|name| manifest_path(&relative.with_file_name(name)));
    Ok(paths.collect())
}
