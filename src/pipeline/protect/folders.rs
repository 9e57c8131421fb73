use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::state::STATE_FOLDER;
use crate::{data::MANIFEST_NAME, pipeline::PipelineError};

/// An error if `output` is the dataset `root`, inside it, or around it. The output may not exist yet.
pub(in crate::pipeline) fn check_apart(root: &Path, output: &Path) -> Result<(), PipelineError> {
    if !root.exists() {
        // The layout search words this better than canonicalize does.
        crate::data::discover(root)?;
    }
    let dataset = root
        .canonicalize()
        .map_err(PipelineError::io("open the dataset", root))?;
    let target = resolve(output).map_err(PipelineError::io("resolve the output folder", output))?;
    if target.starts_with(&dataset) || dataset.starts_with(&target) {
        return Err(PipelineError::OutputOverlaps {
            output: output.to_path_buf(),
            dataset: root.to_path_buf(),
        });
    }
    Ok(())
}

/// An error if the dataset is what an earlier run wrote.
pub(in crate::pipeline) fn check_clean(root: &Path) -> Result<(), PipelineError> {
    match root.join(MANIFEST_NAME).exists() {
        false => Ok(()),
        true => Err(PipelineError::AlreadyProtected {
            path: root.to_path_buf(),
        }),
    }
}

/// The checks of a job that makes `output` from the dataset `root`.
pub(in crate::pipeline) fn check_folders(root: &Path, output: &Path) -> Result<(), PipelineError> {
    check_apart(root, output)?;
    check_free(output, false)
}

/// An error unless `output` is missing or empty, or holds an interrupted run where that is to be resumed.
pub(super) fn check_free(output: &Path, resume: bool) -> Result<(), PipelineError> {
    let path = output.to_path_buf();
    if output.join(STATE_FOLDER).is_dir() {
        return match resume {
            true => Ok(()),
            false => Err(PipelineError::Unfinished { path }),
        };
    }
    match has_others(output)? {
        false => Ok(()),
        true => Err(PipelineError::OutputNotEmpty { path }),
    }
}

/// Whether the output has anything beside the folder of a run's state, which another shard may have made just now.
pub(super) fn has_others(output: &Path) -> Result<bool, PipelineError> {
    let mut entries = match fs::read_dir(output) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(PipelineError::io("open the output folder", output))?,
    };
    Ok(entries.any(|entry| entry.map_or(true, |entry| entry.file_name() != STATE_FOLDER)))
}

/// An error if `file`, which may not exist yet, lies inside one of the folders.
pub(super) fn check_outside(file: &Path, folders: &[&Path]) -> Result<(), PipelineError> {
    let target = resolve(file).map_err(PipelineError::io("resolve the path", file))?;
    for folder in folders {
        if target
            .starts_with(resolve(folder).map_err(PipelineError::io("resolve the folder", folder))?)
        {
            return Err(PipelineError::SecretInside {
                path: file.to_path_buf(),
                folder: folder.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// The absolute path of something that may not exist yet: its nearest existing ancestor decides
/// about symbolic links.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut known = absolute.as_path();
    loop {
        match known.canonicalize() {
            Ok(mut found) => {
                found.extend(missing.iter().rev());
                return Ok(found);
            }
            Err(error) => match (known.file_name(), known.parent()) {
                (Some(name), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(name);
                    known = parent;
                }
                _ => return Err(error),
            },
        }
    }
}
