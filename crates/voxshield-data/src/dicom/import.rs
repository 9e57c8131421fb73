//! From folders with DICOM to a dataset of the plain layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::DicomError;
use super::series::Series;
use crate::error::DataError;
use crate::fsx::copy_file_atomic;
use crate::label::LabelMap;
use crate::layout::{LayoutError, Tree};
use crate::manifest::unfit_name;
use crate::nifti::{file_parts, nifti_stem};
use crate::volume::Volume;

/// What became of one case.
#[derive(Debug)]
pub struct ImportedCase {
    /// The name of its folder; `images` for the files that lie in none.
    pub id: String,
    /// Columns, rows and slices of the volume, or why there is none; no file of the case was written then.
    pub shape: Result<[usize; 3], DataError>,
    /// Whether a label was copied.
    pub labelled: bool,
}

/// Reads `input/images/CASE/*` (DICOM) and `input/labels/CASE.nii.gz`, and writes `output/images/CASE.nii.gz` and the labels beside
/// it. A folder without `images` is one series, and its name the case's. A label must lie on the grid of its series. Links and
/// loose files in `images`, and labels that are links, second ones of a case, or of no case, are in the list as cases that failed, so
/// that nothing is left out in silence.
///
/// # Errors
/// [`LayoutError::NotAFolder`], [`DicomError::NoSeries`] when there is no series at all, [`DataError::Io`] for the folders
/// themselves; what concerns one case is in the list.
pub fn import_dicom(
    input: &Path,
    output: &Path,
    observer: &mut dyn FnMut(&ImportedCase),
) -> Result<Vec<ImportedCase>, DataError> {
    let images = input.join("images");
    let cases = match images.is_dir() {
        true => cases_in(input, &images)?,
        false => vec![only_case(input)?],
    };
    let mut labels = labels(&input.join("labels"))?;
    let mut imported = Vec::with_capacity(cases.len());
    let mut done = |case: ImportedCase| {
        observer(&case);
        imported.push(case);
    };
    for (id, folder) in cases {
        let target = output.join("images").join(format!("{id}.nii.gz"));
        let label = labels.remove(&id).transpose();
        let labelled = matches!(label, Ok(Some(_)));
        let shape = folder.and_then(|folder| import(&folder, label?.as_deref(), &target, output));
        done(ImportedCase {
            labelled: labelled && shape.is_ok(),
            id,
            shape,
        });
    }
    for (id, label) in labels {
        let problem = DicomError::NoCase { id: id.clone() };
        let shape = Err(match label {
            Ok(path) => DataError::Dicom { path, problem },
            Err(error) => error,
        });
        done(ImportedCase {
            id,
            shape,
            labelled: false,
        });
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
            for part in file_parts(label)? {
                copy_file_atomic(&part, &output.join("labels").join(name(&part)))?;
            }
        }
        Ok(())
    };
    finish().inspect_err(|_| {
        // The case has failed; its error is the one to report.
        let _ = fs::remove_file(target);
        for part in label
            .and_then(|label| file_parts(label).ok())
            .into_iter()
            .flatten()
        {
            let _ = fs::remove_file(output.join("labels").join(name(&part)));
        }
    })?;
    Ok(shape)
}

/// The name of a case and the folder of its series, or why there is none.
type Found = (String, Result<PathBuf, DataError>);

/// What is in `images`, sorted by name; loose files are one entry.
fn cases_in(input: &Path, images: &Path) -> Result<Vec<Found>, DataError> {
    let (mut cases, mut loose) = (Vec::new(), Vec::new());
    for path in entries(images)? {
        let id = name(&path);
        if path.is_symlink() {
            // Not followed: a series is where it is said to be.
            let reason = "in place of a series";
            cases.push((id, Err(DataError::SymbolicLink { path, reason })));
        } else if path.is_dir() {
            cases.push((id, fit(path)));
        } else if id != "DICOMDIR" {
            loose.push(id);
        }
    }
    cases.sort_by(|(a, _), (b, _)| a.cmp(b));
    loose.sort();
    if cases.is_empty() {
        let found = match loose.is_empty() {
            true => "images/ with nothing in it",
            false => "images/ with files but no folder",
        };
        return Err(no_series(input, found));
    }
    if let Some(first) = loose.first().cloned() {
        let error = DataError::Dicom {
            path: images.to_path_buf(),
            problem: DicomError::Loose {
                found: loose.len(),
                first,
            },
        };
        cases.push((name(images), Err(error)));
    }
    Ok(cases)
}

/// A folder that is one series itself.
fn only_case(input: &Path) -> Result<Found, DataError> {
    match Tree::read(input) {
        Err(DataError::Layout(LayoutError::EmptyFolder { .. })) => {
            return Err(no_series(input, "no file"));
        }
        tree => tree?,
    };
    // `.` and `..` have a name elsewhere only.
    let folder = match input.file_name() {
        Some(_) => input.to_path_buf(),
        None => fs::canonicalize(input).map_err(DataError::io("open the folder", input))?,
    };
    match name(&folder) {
        id if id.is_empty() => Err(no_series(input, "a folder without a name")),
        id => Ok((id, fit(folder))),
    }
}

/// The folder, unless its name can be that of no case that is to be protected.
fn fit(path: PathBuf) -> Result<PathBuf, DataError> {
    match unfit_name(Path::new(path.file_name().unwrap_or_default())) {
        None => Ok(path),
        Some((name, reason)) => Err(LayoutError::UnfitName { path, name, reason }.into()),
    }
}

fn no_series(input: &Path, found: &'static str) -> DataError {
    DataError::Dicom {
        path: input.to_path_buf(),
        problem: DicomError::NoSeries { found },
    }
}

/// Label files by case, or why a case's is none; nothing if there is no such folder.
fn labels(path: &Path) -> Result<BTreeMap<String, Result<PathBuf, DataError>>, DataError> {
    let mut labels: BTreeMap<String, Result<PathBuf, DataError>> = BTreeMap::new();
    if !path.is_dir() {
        return Ok(labels);
    }
    let mut files = entries(path)?;
    files.sort();
    for path in files {
        let file = name(&path);
        let Some(id) = nifti_stem(&file).map(str::to_string) else {
            continue;
        };
        let label = match labels.remove(&id) {
            Some(Ok(other)) => Err(LayoutError::DuplicateCase {
                path,
                id: id.clone(),
                other,
            }
            .into()),
            Some(error) => error,
            None if path.is_symlink() => Err(DataError::SymbolicLink {
                path,
                reason: "in place of a label",
            }),
            None if path.is_file() => Ok(path),
            None => continue,
        };
        labels.insert(id, label);
    }
    Ok(labels)
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
