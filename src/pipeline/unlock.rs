use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    PipelineError,
    lanes::in_order,
    protect::check_folders,
    room::Room,
    write::{Written, manifest_path},
};
use crate::data::{
    CaseRecord, DataError, Identities, MANIFEST_NAME, Manifest, StoredVolume, Tree, UNLOCK_FOLDER,
    UnlockError, copy_file_atomic, file_parts, is_nifti_name, open_residual, sha256_file,
};

/// The result of [`unlock`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnlockReport {
    /// One entry a case of the manifest.
    pub cases: Vec<RestoredCase>,
}

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RestoredCase {
    /// The case.
    pub id: String,
    /// Why it was not restored; no file of it was written then.
    pub problem: Option<String>,
}

impl UnlockReport {
    /// Whether all cases are restored.
    pub fn is_complete(&self) -> bool {
        self.cases.iter().all(|case| case.problem.is_none())
    }
}

/// Restores the dataset that `protected` was made from into the new folder `restored`: images voxel by voxel and byte by byte of
/// their headers (the compressed bytes may differ), labels and other files as they are.
///
/// A case whose files or residual were changed is reported and left out; the others are restored. Each restored file is opened
/// again and compared with the hash of the original.
///
/// # Errors
/// [`PipelineError`] for a job that cannot be done at all: overlapping folders, no manifest, no residual, none that these keys
/// open. `restored` is not created then.
pub fn unlock(
    protected: &Path,
    restored: &Path,
    identities: &Identities,
    observer: &mut dyn FnMut(&RestoredCase),
) -> Result<UnlockReport, PipelineError> {
    check_folders(protected, restored)?;
    let manifest = Manifest::read(&protected.join(MANIFEST_NAME))?;
    let tree = Tree::read(protected)?;
    let mut cases = Vec::with_capacity(manifest.cases.len());
    let mut first_error = None;
    in_order(
        manifest.cases.len(),
        |index| restore(&tree, &manifest.cases[index], restored, identities),
        |index, outcome| {
            let case = RestoredCase {
                id: manifest.cases[index].id.clone(),
                problem: outcome.as_ref().err().map(ToString::to_string),
            };
            observer(&case);
            cases.push(case);
            first_error = first_error.take().or(outcome.err());
        },
    );
    let report = UnlockReport { cases };
    match first_error {
        Some(error) if report.cases.iter().all(|case| case.problem.is_some()) => {
            remove_empty(restored);
            return Err(error);
        }
        _ => copy_others(&tree, &manifest, restored)?,
    }
    Ok(report)
}

fn restore(
    tree: &Tree,
    case: &CaseRecord,
    restored: &Path,
    identities: &Identities,
) -> Result<(), PipelineError> {
    // The tree has no file that a link leads to from outside.
    let inside = |entry: &str| match tree.has(Path::new(entry)) {
        true => Ok(tree.root().join(entry)),
        false => Err(PipelineError::NotInFolder {
            path: tree.root().join(entry),
        }),
    };
    let residual = case.unlock.as_ref().ok_or(PipelineError::NoResidual {
        id: case.id.clone(),
    })?;
    let files = case.files.iter().map(|file| inside(&file.path));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let voxels = files.iter().map(|file| StoredVolume::voxel_count_of(file));
    let voxels = voxels.filter_map(Result::ok).fold(0, u64::saturating_add);
    let _room = Room::of(voxels);
    let originals = open_residual(&inside(&residual.path)?, &case.id, &files, identities)?;
    let mut written = Written::default();
    for (original, file) in originals.iter().zip(&case.files) {
        let target = restored.join(&file.path);
        written.push(&target);
        original.write_atomic(&target)?;
        let (expected, found) = (
            original.content_sha256(),
            StoredVolume::content_sha256_of(&target)?,
        );
        if expected != found {
            let problem = UnlockError::NotRestored {
                path: file.path.clone(),
                what: "the written file",
                expected: expected.join(", "),
                found: found.join(", "),
            };
            return Err(DataError::Unlock {
                path: target,
                problem,
            }
            .into());
        }
    }
    for label in &case.labels {
        let (source, target) = (inside(&label.path)?, restored.join(&label.path));
        if sha256_file(&source)? != label.sha256 {
            return Err(PipelineError::Changed { path: source });
        }
        written.push(&target);
        copy_file_atomic(&source, &target)?;
    }
    written.keep();
    Ok(())
}

/// Copies what belongs to no case: `dataset.json`, licences.
fn copy_others(tree: &Tree, manifest: &Manifest, restored: &Path) -> Result<(), PipelineError> {
    let listed: Vec<PathBuf> = manifest
        .cases
        .iter()
        .flat_map(CaseRecord::paths)
        .flat_map(|path| {
            let path = tree.root().join(path);
            file_parts(&path).unwrap_or_else(|_| vec![path])
        })
        .collect();
    for relative in tree.files() {
        let source = tree.root().join(relative);
        let own = relative.starts_with(UNLOCK_FOLDER)
            || manifest_path(relative).starts_with(MANIFEST_NAME);
        if !own && !listed.contains(&source) && !is_nifti_name(&manifest_path(relative)) {
            copy_file_atomic(&source, &restored.join(relative))?;
        }
    }
    Ok(())
}

/// Removes folders without files; what is in the way of that stays.
fn remove_empty(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten();
    for entry in entries.filter_map(io::Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // It is not empty: then it is to stay.
    let _ = fs::remove_dir(folder);
}
