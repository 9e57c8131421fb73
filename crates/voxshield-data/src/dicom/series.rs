//! Slices that make a volume.

use std::path::Path;

use ndarray::{Array3, Axis};

use super::DicomError;
use super::slice::Slice;
use crate::error::DataError;
use crate::geometry::Affine;
use crate::layout::{LayoutError, Tree};
use crate::nifti::{NewVoxels, Scaling, write_new_scaled};

/// Slices may be off by this share of their distance, and cosines and spacings by this much.
const TOLERANCE: f64 = 1e-2;

/// The slices of one series, in the order of growing index.
pub(super) struct Series(Vec<Slice>);

impl Series {
    /// Reads all files of a folder and the folders in it; hidden ones and DICOMDIR are left out.
    pub(super) fn read(folder: &Path) -> Result<Self, DataError> {
        let tree = match Tree::read(folder) {
            // That error lists the layouts of datasets.
            Err(DataError::Layout(LayoutError::EmptyFolder { path, .. })) => {
                let problem = DicomError::TooFew { found: 0 };
                return Err(DataError::Dicom { path, problem });
            }
            tree => tree?,
        };
        if let Some(problem) = tree.refused().next() {
            return Err(DataError::SymbolicLink {
                path: tree.root().join(&problem.path),
                reason: "in a DICOM series",
            });
        }
        let files = tree
            .files()
            .filter(|path| path.file_name().is_none_or(|name| name != "DICOMDIR"));
        let slices = files
            .map(|relative| {
                let path = tree.root().join(relative);
                Slice::read(&path).map_err(|problem| DataError::Dicom { path, problem })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Self::sort(slices).map_err(|(path, problem)| DataError::Dicom {
            path: path.unwrap_or_else(|| folder.to_path_buf()),
            problem,
        })
    }

    fn sort(mut slices: Vec<Slice>) -> Result<Self, (Option<std::path::PathBuf>, DicomError)> {
        let found = slices.len();
        let (Some(first), true) = (slices.first(), found >= 2) else {
            return Err((None, DicomError::TooFew { found }));
        };
        let name = |slice: &Slice| {
            let name = slice.path.file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        };
        for slice in &slices {
            if let Some(what) = difference(first, slice) {
                let other = name(first);
                return Err((Some(slice.path.clone()), DicomError::Mixed { what, other }));
            }
        }
        let normal = first.normal();
        let along =
            |slice: &Slice| -> f64 { slice.position.iter().zip(normal).map(|(p, n)| p * n).sum() };
        slices.sort_by(|a, b| along(a).total_cmp(&along(b)));
        let series = Self(slices);
        let step = series.step();
        let length = norm(step);
        for (position, slice) in series.0.iter().enumerate() {
            let expected = offset(series.0[0].position, step, position as f64);
            let away = norm(offset(slice.position, expected, -1.0));
            // Written so that equal positions, which have no length, are refused.
            if !(away <= TOLERANCE * length && length > 0.0) {
                let problem = DicomError::Spacing {
                    position,
                    found: away,
                };
                return Err((Some(slice.path.clone()), problem));
            }
        }
        Ok(series)
    }

    /// From one slice to the next, LPS.
    fn step(&self) -> [f64; 3] {
        let [first, .., last] = self.0.as_slice() else {
            return [0.0; 3];
        };
        offset(last.position, first.position, -1.0).map(|all| all / (self.0.len() - 1) as f64)
    }

    /// From (column, row, slice) to RAS+ mm.
    fn affine(&self) -> Affine {
        let first = &self.0[0];
        let ([row, column], step) = (first.orientation, self.step());
        let [between_rows, between_columns] = first.spacing;
        let line = |axis: usize, sign: f64| {
            [
                row[axis] * between_columns,
                column[axis] * between_rows,
                step[axis],
                first.position[axis],
            ]
            .map(|value| sign * value)
        };
        Affine::new([
            line(0, -1.0),
            line(1, -1.0),
            line(2, 1.0),
            [0.0, 0.0, 0.0, 1.0],
        ])
    }

    /// Writes the volume. Stored integers and a common slope and intercept are kept, in the first of int16, uint16 and int32 that has
    /// them all; where slope or intercept vary from slice to slice (PET), values are written as float32.
    pub(super) fn write(&self, path: &Path) -> Result<[usize; 3], DataError> {
        let first = &self.0[0];
        let [rows, columns] = first.size;
        let shape = (columns, rows, self.0.len());
        let affine = self.affine();
        let same = |slice: &Slice| (slice.slope, slice.intercept) == (first.slope, first.intercept);
        if !self.0.iter().all(same) {
            let mut voxels = Array3::<f32>::zeros(shape);
            self.fill(&mut voxels, |slice, value| {
                (f64::from(value) * slice.slope + slice.intercept) as f32
            });
            write_new_scaled(path, voxels.view(), &affine, Scaling::IDENTITY)?;
            return Ok(shape.into());
        }
        let scaling = Scaling {
            slope: first.slope,
            inter: first.intercept,
        };
        let values = || self.0.iter().flat_map(|slice| &slice.values);
        let fits = |low: i32, high: i32| values().all(|value| (low..=high).contains(value));
        let write = |voxels: NewVoxels<'_>| write_new_scaled(path, voxels, &affine, scaling);
        if fits(i16::MIN.into(), i16::MAX.into()) {
            let mut voxels = Array3::<i16>::zeros(shape);
            self.fill(&mut voxels, |_, value| value as i16);
            write(voxels.view().into())?;
        } else if fits(0, u16::MAX.into()) {
            let mut voxels = Array3::<u16>::zeros(shape);
            self.fill(&mut voxels, |_, value| value as u16);
            write(voxels.view().into())?;
        } else {
            // Slices with a sign beside slices without one, each of 16 bits.
            let mut voxels = Array3::<i32>::zeros(shape);
            self.fill(&mut voxels, |_, value| value);
            write(voxels.view().into())?;
        }
        Ok(shape.into())
    }

    fn fill<T: Clone>(&self, voxels: &mut Array3<T>, convert: impl Fn(&Slice, i32) -> T) {
        for (mut target, slice) in voxels.axis_iter_mut(Axis(2)).zip(&self.0) {
            // Reversed, the columns run fastest, as in DICOM.
            for (voxel, &value) in target
                .view_mut()
                .reversed_axes()
                .iter_mut()
                .zip(&slice.values)
            {
                *voxel = convert(slice, value);
            }
        }
    }
}

/// What makes two slices parts of different volumes.
fn difference(a: &Slice, b: &Slice) -> Option<&'static str> {
    let near = |a: &[f64], b: &[f64]| {
        a.iter()
            .zip(b)
            .all(|(a, b)| (a - b).abs() <= TOLERANCE * a.abs().max(0.1))
    };
    let checks = [
        ("Series Instance UID", a.series == b.series),
        ("the number of rows or columns", a.size == b.size),
        ("Pixel Spacing", near(&a.spacing, &b.spacing)),
        (
            "Image Orientation (Patient)",
            near(a.orientation.as_flattened(), b.orientation.as_flattened()),
        ),
    ];
    checks
        .into_iter()
        .find(|(_, equal)| !equal)
        .map(|(what, _)| what)
}

/// `a + factor * b`.
fn offset(a: [f64; 3], b: [f64; 3], factor: f64) -> [f64; 3] {
    let mut sum = a;
    sum.iter_mut()
        .zip(b)
        .for_each(|(sum, b)| *sum += factor * b);
    sum
}

fn norm(vector: [f64; 3]) -> f64 {
    vector.iter().map(|value| value * value).sum::<f64>().sqrt()
}
