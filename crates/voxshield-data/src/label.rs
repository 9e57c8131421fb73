//! Label maps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use ndarray::Array3;

use crate::error::DataError;
use crate::geometry::{Affine, Orientation};
use crate::nifti::{Scaling, StoredVolume};
use crate::volume::{Volume, check_file};

/// Labels and images may disagree by this much in mm at the corners of the volume.
const GEOMETRY_TOLERANCE: f64 = 1e-2;
/// With a slope that is no power of two, whole numbers come out a little off.
const SCALED_TOLERANCE: f64 = 1e-4;

/// Integral labels in canonical order `[depth, height, width]`.
#[derive(Clone, Debug)]
pub struct LabelMap {
    path: PathBuf,
    array: Array3<u16>,
    orientation: Orientation,
    affine: Affine,
}

impl LabelMap {
    /// Opens a label map of any integer or float datatype, as long as every value, after slope and intercept, is a whole number
    /// from 0 to 65535.
    ///
    /// # Errors
    /// [`DataError::LabelValue`] for a value that is not, naming it; [`DataError::LabelChannels`] for several channels; and the
    /// errors of [`Volume::open`] for files that are no volumes.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = StoredVolume::read(path)?;
        check_file(&file)?;
        let [i, j, k, channels] = file.dims();
        if channels != 1 {
            return Err(DataError::LabelChannels {
                path: path.to_path_buf(),
                channels,
            });
        }
        let affine = file.affine();
        let degenerate = || DataError::DegenerateAffine {
            path: path.to_path_buf(),
        };
        let orientation = Orientation::from_affine(&affine).ok_or_else(degenerate)?;
        let tolerance = if file.scaling() == Scaling::IDENTITY {
            0.0
        } else {
            SCALED_TOLERANCE
        };
        let mut labels = Vec::with_capacity(file.voxel_count());
        for (position, value) in file.values().enumerate() {
            let label = whole_number(value, tolerance).ok_or_else(|| {
                let [i, j, k, _] = file.index_of(position);
                DataError::LabelValue {
                    path: path.to_path_buf(),
                    value,
                    index: [i, j, k],
                }
            })?;
            labels.push(label);
        }
        let view = orientation.canonical_view(file.view(&labels)?);
        let [depth, height, width] = orientation.canonical_shape([i, j, k]);
        let mut array = Array3::zeros((depth, height, width));
        array.assign(&view.index_axis_move(ndarray::Axis(0), 0));
        Ok(Self {
            path: path.to_path_buf(),
            array,
            affine: orientation.canonical_affine(&affine, [i, j, k]),
            orientation,
        })
    }

    /// Labels that no file holds, on the grid of a volume; `labels` is `[depth, height, width]` in C order.
    ///
    /// # Errors
    /// [`DataError::Shape`] for another number of voxels.
    pub fn derived(volume: &Volume, labels: Vec<u16>) -> Result<Self, DataError> {
        let (shape, found) = (volume.shape(), labels.len());
        let array = Array3::from_shape_vec(shape, labels).map_err(|_| DataError::Shape {
            what: "labels [depth, height, width]",
            expected: shape.to_vec(),
            found: vec![found],
        })?;
        Ok(Self {
            path: volume.path().to_path_buf(),
            array,
            orientation: volume.orientation(),
            affine: volume.affine(),
        })
    }

    /// The labels, `[depth, height, width]`.
    #[must_use]
    pub fn array(&self) -> &Array3<u16> {
        &self.array
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Labels that occur, background (0) included where it does.
    #[must_use]
    pub fn classes(&self) -> BTreeSet<u16> {
        let mut present = vec![false; usize::from(u16::MAX) + 1];
        for &label in &self.array {
            if let Some(present) = present.get_mut(usize::from(label)) {
                *present = true;
            }
        }
        (0..=u16::MAX)
            .zip(present)
            .filter_map(|(label, present)| present.then_some(label))
            .collect()
    }

    /// Voxels with a label above 0.
    #[must_use]
    pub fn foreground_count(&self) -> usize {
        self.array.iter().filter(|&&label| label > 0).count()
    }

    /// Whether the labels lie on the image's grid. Both are in canonical order already, so a label map stored in another axis order
    /// is fine as long as it means the same places. Small differences come back as a warning to show.
    ///
    /// # Errors
    /// [`DataError::GridMismatch`] when the shapes differ, or when axes run in other directions and the places differ:
    /// then labels would be on the wrong side.
    pub fn check_matches(&self, volume: &Volume) -> Result<Option<String>, DataError> {
        let differs = |what, expected, found| DataError::GridMismatch {
            path: self.path.clone(),
            reference: volume.path().to_path_buf(),
            what,
            expected,
            found,
        };
        let (image, label): ([usize; 3], [usize; 3]) = (volume.shape(), self.array.dim().into());
        if image != label {
            let what = "the shape [depth, height, width]";
            return Err(differs(what, format!("{image:?}"), format!("{label:?}")));
        }
        let [depth, height, width] = image;
        let distance = volume
            .affine()
            .max_corner_distance(&self.affine, [height, width, depth]);
        if distance <= GEOMETRY_TOLERANCE {
            return Ok(None);
        }
        if volume.orientation() != self.orientation {
            let (image, label) = (volume.orientation().codes(), self.orientation.codes());
            return Err(differs(
                "the axis order, with the places of the voxels,",
                image,
                label,
            ));
        }
        Ok(Some(format!(
            "{}: the header places voxels up to {distance:.3} mm from where the image {} has them; the labels are used voxel by voxel",
            self.path.display(),
            volume.path().display()
        )))
    }
}

fn whole_number(value: f64, tolerance: f64) -> Option<u16> {
    let rounded = value.round();
    let near = (value - rounded).abs() <= tolerance;
    (near && (0.0..=f64::from(u16::MAX)).contains(&rounded)).then_some(rounded as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_only() {
        assert_eq!(whole_number(3.0, 0.0), Some(3));
        assert_eq!(whole_number(-0.0, 0.0), Some(0));
        assert_eq!(whole_number(65535.0, 0.0), Some(65535));
        assert_eq!(whole_number(2.999_99, SCALED_TOLERANCE), Some(3));
        for value in [0.5, 2.999_99, -1.0, 65536.0, f64::NAN, f64::INFINITY] {
            assert_eq!(whole_number(value, 0.0), None, "{value}");
        }
    }
}
