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
use crate::data::{DataError, MANIFEST_NAME, Manifest, PublicKey, SIGNATURE_NAME};

/// The result of [`verify`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// One verdict a case of the manifest.
    pub cases: Vec<CaseVerdict>,
    /// What is wrong with the folder as a whole, e.g. a file that the manifest does not list.
    pub problems: Vec<String>,
}

/// The result of [`verify_published`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PublishedReport {
    /// Cases of the manifest, 0 if it is not the owner's.
    pub cases: usize,
    /// What is wrong; empty if the folder is what the owner signed.
    pub problems: Vec<String>,
}

impl PublishedReport {
    /// Whether the folder is what the owner signed.
    pub fn is_genuine(&self) -> bool {
        self.problems.is_empty()
    }
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
    check_finished(Some(root), output)?;
    let manifest = Manifest::read(&output.join(MANIFEST_NAME))?;
    check(&manifest, root, output, limit, observer)
}

/// As [`verify_within`], of a manifest that the owner signed. Nothing of it is believed, or even parsed, before its signature is checked; a wrong
/// signature is the only problem of the report then.
///
/// # Errors
/// As [`verify`].
pub fn verify_signed(
    root: &Path,
    output: &Path,
    key: &PublicKey,
    limit: Option<MemoryLimit>,
    observer: &mut dyn FnMut(&CaseVerdict),
) -> Result<VerifyReport, PipelineError> {
    check_finished(Some(root), output)?;
    match read_signed(output, key)? {
        Ok(manifest) => check(&manifest, root, output, limit, observer),
        Err(problem) => Ok(VerifyReport {
            cases: Vec::new(),
            problems: vec![problem],
        }),
    }
}

/// Checks a protected folder as whoever fetched it can, without the clean dataset: that the owner signed the manifest, that every file has the hash
/// that it says, that none is missing and none is there that it does not list. How much was changed, only [`verify_signed`] can tell.
///
/// # Errors
/// [`PipelineError`] if the folder or the manifest cannot be read; what is wrong is part of the report.
pub fn verify_published(output: &Path, key: &PublicKey) -> Result<PublishedReport, PipelineError> {
    check_finished(None, output)?;
    let (cases, mut problems) = match read_signed(output, key)? {
        Err(problem) => (0, vec![problem]),
        Ok(manifest) => {
            let mut problems = folder_problems(None, &manifest, output)?;
            if manifest.others.is_none() {
                problems.push("the manifest is of an older version, which did not list files beside the cases".to_owned());
            }
            if manifest.cases.is_empty() {
                problems.push(NO_CASE.to_owned());
            }
            (manifest.cases.len(), problems)
        }
    };
    problems.extend(unfinished(output));
    Ok(PublishedReport { cases, problems })
}

const NO_CASE: &str = "the manifest lists no protected case";

/// The manifest, or why it is not the owner's.
fn read_signed(output: &Path, key: &PublicKey) -> Result<Result<Manifest, String>, PipelineError> {
    match Manifest::read_signed(&output.join(MANIFEST_NAME), key) {
        Ok(manifest) => Ok(Ok(manifest)),
        Err(error @ DataError::Signature { .. }) => Ok(Err(error.to_string())),
        Err(error) if !output.join(SIGNATURE_NAME).exists() => Ok(Err(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// What is wrong with a folder that a run still writes.
fn unfinished(output: &Path) -> Option<String> {
    let unfinished = output.join(STATE_FOLDER).exists();
    unfinished
        .then(|| "the run that writes this folder is not complete: go on with --resume".to_owned())
}

/// An error for a folder without a manifest.
fn check_finished(root: Option<&Path>, output: &Path) -> Result<(), PipelineError> {
    if !output.is_dir() || output.join(MANIFEST_NAME).exists() {
        return Ok(());
    }
    let (unfinished, swapped) = (
        output.join(STATE_FOLDER).exists(),
        root.is_some_and(|root| root.join(MANIFEST_NAME).exists()),
    );
    Err(PipelineError::NotProtected {
        path: output.to_path_buf(),
        hint: match (unfinished, swapped) {
            (true, _) => "the run that writes it is not complete; go on with --resume",
            (_, true) => {
                "the other folder has one; the clean dataset comes first, the protected folder second"
            }
            _ => "it is no output of `protect`, or the file was lost",
        },
    })
}

/// Checks the folder of a manifest against the clean dataset.
fn check(
    manifest: &Manifest,
    root: &Path,
    output: &Path,
    limit: Option<MemoryLimit>,
    observer: &mut dyn FnMut(&CaseVerdict),
) -> Result<VerifyReport, PipelineError> {
    let options = ProtectOptions {
        max_memory: limit,
        ..ProtectOptions::from_manifest(manifest, &output.join(MANIFEST_NAME))?
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
    if manifest.cases.is_empty() {
        problems.push(NO_CASE.to_owned());
    }
    problems.extend(unfinished(output));
    problems.extend(folder_problems(Some(&scanned.dataset), manifest, output)?);
    Ok(VerifyReport { cases, problems })
}
