//! Label maps.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArcArray, Array3, Array4, Axis, Ix3, ShapeBuilder, s};

use crate::error::DataError;
use crate::geometry::{Affine, Orientation};
use crate::grid::{check_file, check_trailing, orientation_of};
use crate::nifti::{Scaling, StoredVolume, VolumeReader};
use crate::shares::{Shares, SharesBuilder};
use crate::slabs::slabs;
use crate::volume::Volume;

/// Labels and images may disagree by this much in mm at the corners of the volume.
const GEOMETRY_TOLERANCE: f64 = 1e-2;
/// With a slope that is no power of two, whole numbers come out a little off.
const SCALED_TOLERANCE: f64 = 1e-4;

/// Bytes of a label file that are decoded at a time: whole voxels of every datatype.
const CHUNK: usize = 1 << 20;

/// Integral labels in canonical order `[depth, height, width]`, a byte each in memory where none is above 255.
#[derive(Clone, Debug)]
pub struct LabelMap {
    path: PathBuf,
    labels: Labels,
    orientation: Orientation,
    affine: Affine,
}

/// In canonical order for whoever indexes them; in memory as in the file.
#[derive(Clone, Debug)]
enum Labels {
    Bytes(ArcArray<u8, Ix3>),
    Words(ArcArray<u16, Ix3>),
}

impl LabelMap {
    /// Opens a label map of any integer or float datatype, as long as every value, after slope and intercept, is a whole number
    /// from 0 to 65535.
    ///
    /// # Errors
    /// [`DataError::LabelValue`] for a value that is not, naming it; [`DataError::LabelChannels`] for several channels; and the
    /// errors of [`Volume::open`] for files that are no volumes.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        Self::of(path, VolumeReader::open(path)?)
    }

    /// As [`LabelMap::open`], for the content of a single file that is in memory; `path` is its name.
    ///
    /// # Errors
    /// As [`LabelMap::open`].
    pub fn from_bytes(path: &Path, bytes: &[u8]) -> Result<Self, DataError> {
        Self::of(path, VolumeReader::in_memory(path, bytes)?)
    }

    fn of(path: &Path, mut reader: VolumeReader) -> Result<Self, DataError> {
        let file = reader.frame().clone();
        check_file(&file)?;
        let channels = file.dims()[3];
        if channels != 1 {
            return Err(DataError::LabelChannels {
                path: path.to_path_buf(),
                channels,
            });
        }
        let orientation = orientation_of(&file)?;
        let tolerance = if file.scaling() == Scaling::IDENTITY {
            0.0
        } else {
            SCALED_TOLERANCE
        };
        // Words from the first label that needs one.
        let (mut small, mut large): (Vec<u8>, Vec<u16>) = (Vec::new(), Vec::new());
        let mut bytes = Vec::new();
        while reader.left() > 0 {
            reader.next(&mut bytes, CHUNK)?;
            for value in file.values_of(&bytes) {
                let position = small.len() + large.len();
                let label = whole_number(value, tolerance).ok_or_else(|| {
                    let [i, j, k, _] = file.index_of(position);
                    DataError::LabelValue {
                        path: path.to_path_buf(),
                        value,
                        index: [i, j, k],
                    }
                })?;
                match u8::try_from(label) {
                    Ok(label) if large.is_empty() => small.push(label),
                    _ => {
                        large.extend(small.drain(..).map(u16::from));
                        large.push(label);
                    }
                }
            }
        }
        check_trailing(&reader.finish()?)?;
        let labels = if large.is_empty() {
            Labels::Bytes(canonical(&file, orientation, small)?)
        } else {
            Labels::Words(canonical(&file, orientation, large)?)
        };
        let [i, j, k, _] = file.dims();
        Ok(Self {
            path: path.to_path_buf(),
            labels,
            affine: orientation.canonical_affine(&file.affine(), [i, j, k]),
            orientation,
        })
    }

    /// Labels that no file holds, on the grid of a volume; `labels` is `[depth, height, width]` in C order.
    ///
    /// # Errors
    /// [`DataError::Shape`] for another number of voxels.
    pub fn derived(volume: &Volume, labels: Vec<u8>) -> Result<Self, DataError> {
        let (shape, found) = (volume.shape(), labels.len());
        let array = Array3::from_shape_vec(shape, labels).map_err(|_| DataError::Shape {
            what: "labels [depth, height, width]",
            expected: shape.to_vec(),
            found: vec![found],
        })?;
        Ok(Self {
            path: volume.path().to_path_buf(),
            labels: Labels::Bytes(array.into_shared()),
            orientation: volume.orientation(),
            affine: volume.affine(),
        })
    }

    /// The labels, `[depth, height, width]`: all of them, 2 bytes each.
    #[must_use]
    pub fn array(&self) -> Array3<u16> {
        self.slab(0..self.shape()[0])
    }

    /// As [`LabelMap::array`], of some slices: `[slices, height, width]`. Slices that the map does not have are left out.
    #[must_use]
    pub fn slab(&self, slices: Range<usize>) -> Array3<u16> {
        let [depth, height, width] = self.shape();
        let slices = slices.start.min(depth)..slices.end.min(depth);
        let mut slab = Array3::zeros((slices.len(), height, width));
        let part = s![slices, .., ..];
        match &self.labels {
            Labels::Bytes(all) => {
                slab.zip_mut_with(&all.slice(part), |to, &label| *to = label.into());
            }
            Labels::Words(all) => slab.assign(&all.slice(part)),
        }
        slab
    }

    /// `[depth, height, width]` in voxels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match &self.labels {
            Labels::Bytes(labels) => labels.dim().into(),
            Labels::Words(labels) => labels.dim().into(),
        }
    }

    /// The labels in canonical order.
    pub fn values(&self) -> impl Iterator<Item = u16> + Clone + '_ {
        (0..self.shape()[0])
            .flat_map(|slice| self.slab(slice..slice + 1).into_raw_vec_and_offset().0)
    }

    /// A share of epsilon for each label. Nothing is copied where the labels are bytes.
    #[must_use]
    pub fn shares(&self, share: impl Fn(u16) -> f32) -> Shares {
        if let Labels::Bytes(labels) = &self.labels {
            return Shares::of_labels(labels.clone(), (0..=255).map(share).collect());
        }
        let mut shares = SharesBuilder::new(self.shape());
        for slab in slabs(self.shape()) {
            let values: Vec<f32> = self.slab(slab).iter().map(|&label| share(label)).collect();
            shares.push(&values);
        }
        shares.finish()
    }

    /// The same map with one label as background.
    #[must_use]
    pub fn without(&self, label: u16) -> Self {
        let labels = match &self.labels {
            Labels::Bytes(all) => {
                let kept = |found| if u16::from(found) == label { 0 } else { found };
                Labels::Bytes(all.mapv(kept).into_shared())
            }
            Labels::Words(all) => {
                let kept = |found| if found == label { 0 } else { found };
                Labels::Words(all.mapv(kept).into_shared())
            }
        };
        Self {
            labels,
            ..self.clone()
        }
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
        for label in self.values() {
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
        self.values().filter(|&label| label > 0).count()
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
        let (image, label): ([usize; 3], [usize; 3]) = (volume.shape(), self.shape());
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

/// Labels in file order as an array in canonical order.
fn canonical<T: Clone>(
    file: &StoredVolume,
    orientation: Orientation,
    labels: Vec<T>,
) -> Result<ArcArray<T, Ix3>, DataError> {
    let [i, j, k, _] = file.dims();
    let found = vec![labels.len()];
    let stored = Array4::from_shape_vec((i, j, k, 1).f(), labels);
    let stored = stored.map_err(|_| DataError::Shape {
        what: "labels [i, j, k]",
        expected: vec![i, j, k],
        found,
    })?;
    let labels = orientation.canonical_view(stored);
    Ok(labels.index_axis_move(Axis(0), 0).into_shared())
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
