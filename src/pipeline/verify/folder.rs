use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    data::{
        DataError, Dataset, MANIFEST_NAME, Manifest, SIGNATURE_NAME, file_parts, sha256_file,
        sha256_volume,
    },
    pipeline::{PipelineError, protect::STATE_FOLDER, write::manifest_path},
};

/// What is in a protected folder, against what the manifest lists and, where there is one, what the dataset has beside its cases: missing,
/// extra and changed files, links, hidden files, files listed twice.
pub(in crate::pipeline) fn folder_problems(
    dataset: Option<&Dataset>,
    manifest: &Manifest,
    output: &Path,
) -> Result<Vec<String>, PipelineError> {
    let mut problems = Vec::new();
    let mut found = BTreeSet::new();
    walk(output, Path::new(""), &mut found, &mut problems)?;
    let mut expected = BTreeSet::from([MANIFEST_NAME, SIGNATURE_NAME].map(PathBuf::from));
    for Listed { path, hash, sha256 } in listed(manifest) {
        let relative = PathBuf::from(path);
        let target = output.join(&relative);
        // Header and voxels of an image that is a pair are two files under one name.
        let parts = match hash {
            Hash::Volume => file_parts(&target).unwrap_or_else(|_| vec![target.clone()]),
            Hash::File => vec![target.clone()],
        };
        for part in parts {
            let part = part.strip_prefix(output).unwrap_or(&part);
            if !expected.insert(part.to_path_buf()) {
                let part = manifest_path(part);
                problems.push(format!("{part}: listed twice in the manifest"));
            }
        }
        if !found.contains(&relative) {
            problems.push(format!("{path}: missing"));
        } else if hash.of(&target)? != sha256 {
            problems.push(format!("{path}: changed since it was written"));
        }
    }
    if let Some(dataset) = dataset {
        for label in manifest.cases.iter().flat_map(|case| &case.labels) {
            let source = sha256_file(&dataset.root.join(&label.path));
            if !source.is_ok_and(|source| source == label.sha256) {
                let path = &label.path;
                problems.push(format!("{path}: not the label of the clean dataset"));
            }
        }
        let found = &found;
        problems.extend(beside_the_cases(
            dataset,
            manifest,
            output,
            found,
            &mut expected,
        )?);
    }
    let extra = found.difference(&expected).map(|path| manifest_path(path));
    problems.extend(extra.map(|path| format!("{path}: a file that the manifest does not list")));
    Ok(problems)
}

/// The files beside the cases, against those of the dataset.
fn beside_the_cases(
    dataset: &Dataset,
    manifest: &Manifest,
    output: &Path,
    found: &BTreeSet<PathBuf>,
    expected: &mut BTreeSet<PathBuf>,
) -> Result<Vec<String>, PipelineError> {
    let mut problems = Vec::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    unknown.extend(manifest.others.iter().flatten().map(|o| o.path.as_str()));
    for relative in &dataset.auxiliary {
        let path = manifest_path(relative);
        if manifest.skipped.iter().any(|s| s.path == path) {
            continue;
        }
        let listed = unknown.remove(path.as_str());
        if !found.contains(relative) {
            // What is listed was missed already.
            if !listed {
                problems.push(format!("{path}: missing"));
            }
            continue;
        }
        if !listed && manifest.others.is_some() {
            continue;
        }
        expected.insert(relative.clone());
        if sha256_file(&dataset.root.join(relative))? != sha256_file(&output.join(relative))? {
            problems.push(format!("{path}: differs from the clean dataset's"));
        }
    }
    let unknown = unknown.into_iter();
    problems.extend(unknown.map(|path| format!("{path}: the clean dataset has no such file")));
    Ok(problems)
}

/// How a file is hashed.
#[derive(Clone, Copy)]
enum Hash {
    /// An image is a file or a pair, listed once.
    Volume,
    /// Of labels that are pairs, both files are listed.
    File,
}

impl Hash {
    fn of(self, path: &Path) -> Result<String, DataError> {
        match self {
            Self::Volume => sha256_volume(path),
            Self::File => sha256_file(path),
        }
    }
}

/// A file that the manifest lists.
struct Listed<'a> {
    path: &'a str,
    hash: Hash,
    sha256: &'a str,
}

/// All files that the manifest lists.
fn listed(manifest: &Manifest) -> Vec<Listed<'_>> {
    let mut files = Vec::new();
    let mut add = |path, hash, sha256| files.push(Listed { path, hash, sha256 });
    for case in &manifest.cases {
        for file in &case.files {
            add(file.path.as_str(), Hash::Volume, file.sha256_after.as_str());
        }
        for label in &case.labels {
            add(&label.path, Hash::File, &label.sha256);
        }
        if let Some(unlock) = &case.unlock {
            add(&unlock.path, Hash::File, &unlock.sha256);
        }
    }
    for other in manifest.others.iter().flatten() {
        add(&other.path, Hash::File, &other.sha256);
    }
    files
}

/// All files below a folder, hidden ones too, but for the state of an unfinished run; links and whatever is no file are problems.
fn walk(
    root: &Path,
    folder: &Path,
    found: &mut BTreeSet<PathBuf>,
    problems: &mut Vec<String>,
) -> Result<(), PipelineError> {
    let full = root.join(folder);
    let failed = || PipelineError::io("list the folder", &full);
    for entry in fs::read_dir(&full).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().map_err(failed())?;
        if kind.is_dir() && path.as_os_str() == STATE_FOLDER {
            continue;
        } else if kind.is_dir() {
            walk(root, &path, found, problems)?;
        } else if kind.is_file() {
            found.insert(path);
        } else {
            let path = manifest_path(&path);
            problems.push(format!(
                "{path}: a link or special file; it is not published safely"
            ));
        }
    }
    Ok(())
}
