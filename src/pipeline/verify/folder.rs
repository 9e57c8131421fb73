use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    data::{
        CaseRecord, DataError, Dataset, MANIFEST_NAME, Manifest, SIGNATURE_NAME, file_parts,
        sha256_file, sha256_volume,
    },
    pipeline::{PipelineError, protect::STATE_FOLDER, write::manifest_path},
};

/// What is in a protected folder, against what the manifest lists and what the dataset has beside its cases: missing, extra and
/// changed files, links, hidden files.
pub(in crate::pipeline) fn folder_problems(
    dataset: &Dataset,
    manifest: &Manifest,
    output: &Path,
) -> Result<Vec<String>, PipelineError> {
    let mut problems = Vec::new();
    let mut found = BTreeSet::new();
    walk(output, Path::new(""), &mut found, &mut problems)?;
    let mut expected = BTreeSet::from([MANIFEST_NAME, SIGNATURE_NAME].map(PathBuf::from));
    for (path, listed) in listed(dataset, manifest) {
        let relative = PathBuf::from(&path);
        if !found.contains(&relative) {
            problems.push(format!("{path}: missing"));
            continue;
        }
        let target = output.join(&relative);
        // Header and voxels of a pair are two files.
        for part in file_parts(&target).unwrap_or_else(|_| vec![target.clone()]) {
            let part = part.strip_prefix(output).unwrap_or(&part);
            expected.insert(part.to_path_buf());
        }
        let hash = (listed.hash)(&target)?;
        if listed.expected.iter().any(|expected| *expected != hash) {
            problems.push(format!("{path}: changed since it was written"));
        }
        expected.insert(relative);
    }
    for relative in &dataset.auxiliary {
        let path = manifest_path(relative);
        let (source, target) = (dataset.root.join(relative), output.join(relative));
        let left_out = manifest.skipped.iter().any(|s| s.path == path);
        if found.contains(relative) && !left_out && !expected.contains(relative) {
            expected.insert(relative.clone());
            if sha256_file(&source)? != sha256_file(&target)? {
                problems.push(format!("{path}: differs from the clean dataset's"));
            }
        } else if !expected.contains(relative) && !left_out {
            problems.push(format!("{path}: missing"));
        }
    }
    let extra = found.difference(&expected).map(|path| manifest_path(path));
    problems.extend(extra.map(|path| format!("{path}: a file that the manifest does not list")));
    Ok(problems)
}

/// A file that the manifest lists.
struct Listed {
    /// An image is a pair or a file; of labels that are pairs, both files are listed.
    hash: fn(&Path) -> Result<String, DataError>,
    /// The hashes that it must have; labels also that of their source.
    expected: Vec<String>,
}

/// All files that the manifest lists.
fn listed(dataset: &Dataset, manifest: &Manifest) -> BTreeMap<String, Listed> {
    let mut files = BTreeMap::new();
    let mut add = |path: &String, hash, expected| {
        files.insert(path.clone(), Listed { hash, expected });
    };
    let of_case = |case: &CaseRecord| {
        for file in &case.files {
            add(&file.path, sha256_volume, vec![file.sha256_after.clone()]);
        }
        for label in &case.labels {
            let source = sha256_file(&dataset.root.join(&label.path)).unwrap_or_default();
            add(&label.path, sha256_file, vec![label.sha256.clone(), source]);
        }
        if let Some(unlock) = &case.unlock {
            add(&unlock.path, sha256_file, vec![unlock.sha256.clone()]);
        }
    };
    manifest.cases.iter().for_each(of_case);
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
