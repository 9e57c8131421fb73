use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    MemoryLimit, PipelineError,
    lanes::in_order,
    memory::check_restored,
    protect::check_folders,
    room::Room,
    write::{Written, manifest_path},
};
use crate::data::{
    CaseRecord, DataError, Identities, MANIFEST_NAME, Manifest, PublicKey, ResidualCase,
    StoredVolume, Tree, UNLOCK_FOLDER, UnlockError, copy_file_atomic, file_parts, is_nifti_name,
    open_residual, sha256_file, sha256_volume,
};

/// How [`unlock`] works.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnlockOptions {
    /// The owner's key, by which the manifest must be signed. Without it nobody vouches for what is restored: age does not say who encrypted.
    pub public_key: Option<PublicKey>,
    /// The most memory that one case may take; [`MemoryLimit::of_machine`] by default. A case that needs more is not restored.
    pub max_memory: Option<MemoryLimit>,
}

/// The result of [`unlock`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnlockReport {
    /// One entry a case of the manifest.
    pub cases: Vec<RestoredCase>,
    /// What is wrong with the files beside the cases; those are left out.
    pub problems: Vec<String>,
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
    /// Whether everything is restored.
    pub fn is_complete(&self) -> bool {
        self.problems.is_empty() && self.cases.iter().all(|case| case.problem.is_none())
    }
}

/// Restores the dataset that `protected` was made from into the new folder `restored`: images voxel by voxel and byte by byte of
/// their headers (the compressed bytes may differ), labels and other files as they are.
///
/// Every file must have the hash that the manifest says, and each restored one is opened again and compared with the original's. A case whose files or
/// residual were changed is reported and left out; the others are restored. The folder has the name `restored.partial` until all is done.
///
/// # Errors
/// [`PipelineError`] for a job that cannot be done at all: overlapping folders, no manifest, one that the owner did not sign, no case, no residual,
/// none that these keys open. `restored` is not created then.
pub fn unlock(
    protected: &Path,
    restored: &Path,
    identities: &Identities,
    options: &UnlockOptions,
    observer: &mut dyn FnMut(&RestoredCase),
) -> Result<UnlockReport, PipelineError> {
    check_folders(protected, restored)?;
    let path = protected.join(MANIFEST_NAME);
    let manifest = match &options.public_key {
        Some(key) => Manifest::read_signed(&path, key)?,
        None => Manifest::read(&path)?,
    };
    if manifest.cases.is_empty() {
        return Err(PipelineError::NoCases { path });
    }
    let tree = Tree::read(protected)?;
    let partial = Partial::begin(restored)?;
    let folder = partial.folder.as_path();
    let mut cases = Vec::with_capacity(manifest.cases.len());
    let mut first_error = None;
    in_order(
        manifest.cases.len(),
        |index| {
            let case = &manifest.cases[index];
            restore(&tree, case, folder, identities, options)
        },
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
    if let Some(error) = first_error
        && cases.iter().all(|case| case.problem.is_some())
    {
        return Err(error);
    }
    let problems = match &manifest.others {
        Some(_) => copy_listed(&tree, &manifest, folder),
        None if options.public_key.is_some() => vec![
            "files beside the cases were left out: the manifest is of an older version, which did not list them, so that they are not signed".to_owned(),
        ],
        None => {
            copy_unlisted(&tree, &manifest, folder)?;
            Vec::new()
        }
    };
    partial.finish()?;
    Ok(UnlockReport { cases, problems })
}

/// The folder that is written, under a name that says that it is not complete; removed on every error.
struct Partial {
    folder: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Partial {
    /// Creates it beside the target, which is empty if it exists.
    fn begin(target: &Path) -> Result<Self, PipelineError> {
        let resolved = target
            .canonicalize()
            .or_else(|_| std::path::absolute(target))
            .map_err(PipelineError::io("resolve the folder", target))?;
        let Some(name) = resolved.file_name() else {
            let error = io::Error::from(io::ErrorKind::InvalidInput);
            return Err(PipelineError::io("create the folder", target)(error));
        };
        let mut name = name.to_owned();
        name.push(".partial");
        let folder = resolved.with_file_name(name);
        if folder.symlink_metadata().is_ok() {
            return Err(PipelineError::OutputNotEmpty { path: folder });
        }
        // Now and not in the end, when a folder that cannot be replaced, such as a mount, would cost all the work.
        if resolved.exists() {
            fs::remove_dir(&resolved).map_err(PipelineError::io("replace the folder", target))?;
        }
        fs::create_dir_all(&folder).map_err(PipelineError::io("create the folder", &folder))?;
        Ok(Self {
            folder,
            target: resolved,
            finished: false,
        })
    }

    /// Gives it its name.
    fn finish(mut self) -> Result<(), PipelineError> {
        fs::rename(&self.folder, &self.target).map_err(PipelineError::io(
            "rename the finished folder to",
            &self.target,
        ))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // The error that brought us here is the one to report.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The path of a file of the protected folder. The tree has none that a link leads to from outside, and that holds for both halves of a pair.
fn inside(tree: &Tree, entry: &str) -> Result<PathBuf, PipelineError> {
    let path = tree.root().join(entry);
    let parts = file_parts(&path).unwrap_or_else(|_| vec![path.clone()]);
    let listed = |part: &PathBuf| {
        part.strip_prefix(tree.root())
            .is_ok_and(|part| tree.has(part))
    };
    match parts.iter().all(listed) {
        true => Ok(path),
        false => Err(PipelineError::NotInFolder { path }),
    }
}

/// As [`inside`], of a file that has this hash.
fn unchanged(
    tree: &Tree,
    entry: &str,
    sha256: &str,
    hash: fn(&Path) -> Result<String, DataError>,
) -> Result<PathBuf, PipelineError> {
    let path = inside(tree, entry)?;
    match hash(&path)? == sha256 {
        true => Ok(path),
        false => Err(PipelineError::Changed { path }),
    }
}

fn restore(
    tree: &Tree,
    case: &CaseRecord,
    restored: &Path,
    identities: &Identities,
    options: &UnlockOptions,
) -> Result<(), PipelineError> {
    let residual = case.unlock.as_ref().ok_or(PipelineError::NoResidual {
        id: case.id.clone(),
    })?;
    let sealed = unchanged(tree, &residual.path, &residual.sha256, sha256_file)?;
    let files = case.files.iter();
    let files = files.map(|file| unchanged(tree, &file.path, &file.sha256_after, sha256_volume));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let labels = case.labels.iter();
    let labels = labels.map(|label| unchanged(tree, &label.path, &label.sha256, sha256_file));
    let labels = labels.collect::<Result<Vec<_>, _>>()?;
    let _room = Room::of(check_restored(&files, options.max_memory)?);
    let paths: Vec<String> = case.files.iter().map(|file| file.path.clone()).collect();
    let named = ResidualCase {
        id: &case.id,
        paths: &paths,
        labels: &case.labels,
    };
    let originals = open_residual(&sealed, &named, &files, identities)?;
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
        // Manifests of older versions have only the hash of the compressed file, which is another one now.
        if !file.content_before.is_empty() && !file.is_source(&target)? {
            return Err(PipelineError::NotTheOriginal { path: target });
        }
    }
    for (source, label) in labels.iter().zip(&case.labels) {
        let target = restored.join(&label.path);
        written.push(&target);
        copy_file_atomic(source, &target)?;
    }
    written.keep();
    Ok(())
}

/// Copies the files beside the cases that the manifest lists, and says which are not what it says.
fn copy_listed(tree: &Tree, manifest: &Manifest, restored: &Path) -> Vec<String> {
    let others = manifest.others.iter().flatten();
    let copied = others.map(|other| -> Result<(), PipelineError> {
        let source = unchanged(tree, &other.path, &other.sha256, sha256_file)?;
        Ok(copy_file_atomic(&source, &restored.join(&other.path))?)
    });
    let failed = copied.filter_map(Result::err);
    failed.map(|error| error.to_string()).collect()
}

/// Copies what belongs to no case (`dataset.json`, licences), where the manifest does not list it.
fn copy_unlisted(tree: &Tree, manifest: &Manifest, restored: &Path) -> Result<(), PipelineError> {
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
