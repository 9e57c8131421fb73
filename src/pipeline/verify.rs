use std::path::Path;

use serde::Serialize;

use super::{
    PipelineError, PreparedCase, ProtectOptions, Scanned,
    lanes::in_order,
    scan::{ScannedCase, scan},
};
use crate::data::{
    CaseRecord, Dataset, MANIFEST_NAME, Manifest, Tree, Volume, compare, is_nifti_name, sha256_file,
};

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VerifyReport {
    /// One verdict a case of the manifest.
    pub cases: Vec<CaseVerdict>,
    /// What is wrong with the folder as a whole, e.g. a volume that the manifest does not list.
    pub problems: Vec<String>,
}

/// What was found for one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseVerdict {
    /// The case.
    pub id: String,
    /// The largest `|v' - v| / (hi - lo)`.
    pub achieved: f64,
    /// Voxels that changed.
    pub changed: u64,
    /// Broken promises; empty if all are kept.
    pub problems: Vec<String>,
}

impl VerifyReport {
    /// Whether every promise is kept.
    pub fn is_kept(&self) -> bool {
        self.problems.is_empty() && self.cases.iter().all(|case| case.problems.is_empty())
    }
}

/// Checks a protected folder against the clean dataset: budget (its share of epsilon, by support and label) at every voxel, unchanged voxels
/// outside the support, headers and extensions byte for byte, labels byte for byte, hashes as the
/// manifest says, and no volume that the manifest does not list.
///
/// The intensity ranges are computed again from the clean dataset, not believed from the manifest.
///
/// # Errors
/// [`PipelineError`] if the dataset or the manifest cannot be read; a broken promise is not an
/// error but part of the report.
pub fn verify(
    root: &Path,
    output: &Path,
    observer: &mut dyn FnMut(&CaseVerdict),
) -> Result<VerifyReport, PipelineError> {
    let manifest_file = output.join(MANIFEST_NAME);
    let manifest = Manifest::read(&manifest_file)?;
    let options = ProtectOptions::from_manifest(&manifest, &manifest_file)?;
    let mut problems = Vec::new();
    if options.method.epsilon() != manifest.epsilon || options.support.name() != manifest.support {
        problems.push("the manifest contradicts itself about epsilon or support".to_owned());
    }
    let scanned = scan(root, &options, &mut |_| {})?;
    let mut cases = Vec::with_capacity(manifest.cases.len());
    in_order(
        manifest.cases.len(),
        |index| judge(&scanned, &manifest.cases[index], output, &options),
        |_, verdict| {
            observer(&verdict);
            cases.push(verdict);
        },
    );
    for case in &scanned.cases {
        let known = |id: &str| id == case.case.id;
        let listed = manifest.cases.iter().any(|r| known(&r.id))
            || manifest.failed.iter().any(|f| known(&f.id));
        if !listed {
            problems.push(format!(
                "case {} of the clean dataset is missing",
                case.case.id
            ));
        }
    }
    problems.extend(unlisted(&manifest, output)?);
    Ok(VerifyReport { cases, problems })
}

fn judge(
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
        None => Err("the clean dataset has no such usable case".to_owned()),
        Some(clean) => {
            let dataset = &scanned.dataset;
            check_case(dataset, clean, record, output, options, &mut verdict)
                .map_err(|error| error.to_string())
        }
    };
    verdict.problems.extend(checked.err());
    verdict
}

fn check_case(
    dataset: &Dataset,
    clean: &ScannedCase,
    record: &CaseRecord,
    output: &Path,
    options: &ProtectOptions,
    verdict: &mut CaseVerdict,
) -> Result<(), PipelineError> {
    let problems = &mut verdict.problems;
    if clean.ranges != record.ranges {
        problems.push("the intensity ranges differ from those of the clean dataset".to_owned());
    }
    if record.files.len() != clean.case.images.len() {
        problems.push("the manifest lists another number of files".to_owned());
    }
    for (relative, file) in clean.case.images.iter().zip(&record.files) {
        if super::write::manifest_path(relative) != file.path {
            problems.push(format!(
                "{}: the manifest says {}",
                relative.display(),
                file.path
            ));
        }
        if sha256_file(&dataset.root.join(relative))? != file.sha256_before {
            problems.push(format!(
                "{}: the clean file is not the one that was protected",
                file.path
            ));
        }
        if sha256_file(&output.join(relative))? != file.sha256_after {
            problems.push(format!(
                "{}: the protected file has changed since it was written",
                file.path
            ));
        }
    }
    for label in &record.labels {
        let path = Path::new(&label.path);
        if sha256_file(&dataset.root.join(path))? != sha256_file(&output.join(path))? {
            problems.push(format!("{}: the label file differs", label.path));
        }
    }
    let expected = clean.case.label.as_deref().map(super::write::manifest_path);
    if record.labels.first().map(|label| &label.path) != expected.as_ref() {
        problems.push("the manifest does not list the case's label file".to_owned());
    }
    let prepared = PreparedCase::open_with(dataset, &clean.case, options.labels)?;
    let image = prepared.normalised(&clean.ranges);
    let mask = prepared.mask_array(prepared.support(options, &clean.case.id, &image)?)?;
    let files: Vec<_> = clean
        .case
        .images
        .iter()
        .map(|relative| output.join(relative))
        .collect();
    let protected = Volume::open(&files)?;
    let found = compare(
        &prepared.volume,
        &protected,
        &clean.ranges,
        options.method.epsilon(),
        Some(mask.view()),
    )?;
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
    verdict.achieved = found.achieved;
    verdict.changed = found.changed;
    Ok(())
}

fn unlisted(manifest: &Manifest, output: &Path) -> Result<Vec<String>, PipelineError> {
    let listed: Vec<&str> = manifest
        .cases
        .iter()
        .flat_map(|c| {
            c.files
                .iter()
                .map(|f| f.path.as_str())
                .chain(c.labels.iter().map(|l| l.path.as_str()))
        })
        .collect();
    let stem = |path: &str| {
        path.rsplit_once(".hdr")
            .or(path.rsplit_once(".img"))
            .map(|(s, _)| s.to_owned())
    };
    let tree = Tree::read(output)?;
    Ok(tree
        .files()
        .map(|path| super::write::manifest_path(path))
        .filter(|path| is_nifti_name(path))
        .filter(|path| {
            // The .img of a listed .hdr belongs to it.
            let pair = stem(path);
            !listed
                .iter()
                .any(|l| *l == path || (pair.is_some() && stem(l) == pair))
        })
        .map(|path| format!("{path}: a volume that the manifest does not list"))
        .collect())
}
