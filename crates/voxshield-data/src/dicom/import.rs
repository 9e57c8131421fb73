//! From folders with DICOM to a dataset of the plain layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::series::Series;
use crate::error::DataError;
use crate::fsx::copy_file_atomic;
use crate::label::LabelMap;
use crate::nifti::nifti_stem;
use crate::volume::Volume;

/// What became of one case.
#[derive(Debug)]
pub struct ImportedCase {
    /// The name of its folder.
    pub id: String,
    /// Columns, rows and slices of the volume, or why there is none; no file of the case was written then.
    pub shape: Result<[usize; 3], DataError>,
    /// Whether a label was copied.
    pub labelled: bool,
}

/// Reads `input/images/CASE/*` (DICOM) and `input/labels/CASE.nii.gz`, and writes `output/images/CASE.nii.gz` and the labels beside
/// it. A folder without `images` is one series, and its name the case's. A label must lie on the grid of its series.
///
/// # Errors
/// [`LayoutError::NotAFolder`](crate::LayoutError::NotAFolder), [`DataError::Io`] for the folders themselves; what concerns one case is in the list.
pub fn import_dicom(
    input: &Path,
    output: &Path,
    observer: &mut dyn FnMut(&ImportedCase),
) -> Result<Vec<ImportedCase>, DataError> {
    let images = input.join("images");
    let cases = match images.is_dir() {
        true => folders(&images)?,
        false => BTreeMap::from([(name(input), input.to_path_buf())]),
    };
    let labels = labels(&input.join("labels"))?;
    let mut imported = Vec::with_capacity(cases.len());
    for (id, folder) in cases {
        let target = output.join("images").join(format!("{id}.nii.gz"));
        let label = labels.get(&id);
        let shape = import(&folder, label.map(PathBuf::as_path), &target, output);
        let case = ImportedCase {
            labelled: label.is_some() && shape.is_ok(),
            id,
            shape,
        };
        observer(&case);
        imported.push(case);
    }
    Ok(imported)
}

fn import(
    folder: &Path,
    label: Option<&Path>,
    target: &Path,
    output: &Path,
) -> Result<[usize; 3], DataError> {
    let series = Series::read(folder)?;
    let shape = series.write(target)?;
    let finish = || -> Result<(), DataError> {
        let volume = Volume::open(&[target.to_path_buf()])?;
        if let Some(label) = label {
            LabelMap::open(label)?.check_matches(&volume)?;
            copy_file_atomic(label, &output.join("labels").join(name(label)))?;
        }
        Ok(())
    };
    finish().inspect_err(|_| {
        // The case has failed; its error is the one to report.
        let _ = fs::remove_file(target);
    })?;
    Ok(shape)
}

/// Folders by name.
fn folders(path: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    let entries = entries(path)?.into_iter();
    // Links are not followed: a series is where it is said to be.
    let folders = entries.filter(|path| path.is_dir() && !path.is_symlink());
    Ok(folders.map(|path| (name(&path), path)).collect())
}

/// Label files by case; none if there is no such folder.
fn labels(path: &Path) -> Result<BTreeMap<String, PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(BTreeMap::new());
    }
    let files = entries(path)?
        .into_iter()
        .filter(|path| path.is_file() && !path.is_symlink());
    let named = files.filter_map(|path| Some((nifti_stem(&name(&path))?.to_string(), path)));
    Ok(named.collect())
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    let entries = fs::read_dir(path).map_err(DataError::io("list the folder", path))?;
    entries
        .map(|entry| {
            Ok(entry
                .map_err(DataError::io("list the folder", path))?
                .path())
        })
        .filter(|path| {
            path.as_ref()
                .map_or(true, |path| !name(path).starts_with('.'))
        })
        .collect()
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
