mod case;
mod folder;

use std::path::Path;

use serde::Serialize;

use self::case::judge;
pub(super) use self::folder::folder_problems;
use super::{
    MemoryLimit, PipelineError, ProtectOptions, lanes::in_order, memory::Work,
    protect::STATE_FOLDER, scan::scan,
};
use crate::data::{MANIFEST_NAME, Manifest};

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// One verdict a case of the manifest.
    pub cases: Vec<CaseVerdict>,
    /// What is wrong with the folder as a whole, e.g. a file that the manifest does not list.
    pub problems: Vec<String>,
}

/// What was found for one case.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
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
/// outside the support, headers and extensions byte for byte, labels byte for byte, hashes and numbers as the
/// manifest says, no file that it does not list, and none missing.
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
    verify_within(root, output, None, observer)
}

/// As [`verify`], where the work on one case may take so much memory, instead of [`MemoryLimit::of_machine`]. A case that needs more is
/// not checked, which is a problem of the case.
///
/// # Errors
/// As [`verify`].
pub fn verify_within(
    root: &Path,
    output: &Path,
    limit: Option<MemoryLimit>,
    observer: &mut dyn FnMut(&CaseVerdict),
) -> Result<VerifyReport, PipelineError> {
    let manifest_file = output.join(MANIFEST_NAME);
    if output.is_dir() && !manifest_file.exists() {
        let (unfinished, swapped) = (
            output.join(STATE_FOLDER).exists(),
            root.join(MANIFEST_NAME).exists(),
        );
        return Err(PipelineError::NotProtected {
            path: output.to_path_buf(),
            hint: match (unfinished, swapped) {
                (true, _) => "the run that writes it is not complete; go on with --resume",
                (_, true) => {
                    "the other folder has one; the clean dataset comes first, the protected folder second"
                }
                _ => "it is no output of `protect`, or the file was lost",
            },
        });
    }
    let manifest = Manifest::read(&manifest_file)?;
    let options = ProtectOptions {
        max_memory: limit,
        ..ProtectOptions::from_manifest(&manifest, &manifest_file)?
    };
    let mut problems = Vec::new();
    if options.method.epsilon() != manifest.epsilon || options.support.name() != manifest.support {
        problems.push("the manifest contradicts itself about epsilon or support".to_owned());
    }
    let scanned = scan(root, &options, Work::Verify(options.support), &mut |_| {})?;
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
    if manifest.layout != scanned.dataset.layout || manifest.normalisation != scanned.normalisation
    {
        problems.push(
            "the manifest says another layout or normalisation than the clean dataset has"
                .to_owned(),
        );
    }
    if output.join(STATE_FOLDER).exists() {
        problems.push(
            "the run that writes this folder is not complete: go on with --resume".to_owned(),
        );
    }
    problems.extend(folder_problems(&scanned.dataset, &manifest, output)?);
    Ok(VerifyReport { cases, problems })
}
