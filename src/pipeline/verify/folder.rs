use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    data::{CaseRecord, Dataset, MANIFEST_NAME, Manifest, SIGNATURE_NAME, file_parts, sha256_file},
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
    for (path, hashes) in listed(dataset, manifest) {
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
        let hash = sha256_file(&target)?;
        if hashes.iter().any(|expected| *expected != hash) {
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

/// All files that the manifest lists, with the hashes that they must have; labels also that of their source.
fn listed(dataset: &Dataset, manifest: &Manifest) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut add = |path: &String, hash: String| files.entry(path.clone()).or_default().push(hash);
    let of_case = |case: &CaseRecord| {
        for file in &case.files {
            add(&file.path, file.sha256_after.clone());
        }
        for label in &case.labels {
            add(&label.path, label.sha256.clone());
            let source = sha256_file(&dataset.root.join(&label.path));
            add(&label.path, source.unwrap_or_default());
        }
        if let Some(unlock) = &case.unlock {
            add(&unlock.path, unlock.sha256.clone());
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
    let failed = |source: io::Error| PipelineError::Io {
        action: "list the folder",
        path: full.clone(),
        source,
    };
    for entry in fs::read_dir(&full).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
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
