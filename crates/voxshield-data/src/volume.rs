//! The image of one case.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayView4, ArrayViewMut4, s};

use crate::budget::{Budget, integer_steps};
use crate::error::DataError;
use crate::geometry::{Affine, Orientation};
use crate::grid::{
    check_file, check_finite, check_same_grid, check_trailing, corner_distance, is_whole,
    orientation_of, same_places,
};
use crate::intensity::IntensityRange;
use crate::nifti::StoredVolume;
use crate::perturb::{Perturbed, Perturber, perturb};

/// Values that differ by no more are the same number, with or without the rounding of slope and intercept.
const SAME_VALUE: f32 = 1e-3;

/// The image of one case in canonical order, with the files it came from.
///
/// In memory the voxels are as they are stored: 2 bytes each for int16.
#[derive(Clone, Debug)]
pub struct Volume {
    files: Vec<StoredVolume>,
    orientation: Orientation,
}

impl Volume {
    /// Opens the image of one case: several 3-D files are channels in the order given, a 4-D file has its channels inside.
    ///
    /// # Errors
    /// * [`DataError::NoFiles`] for an empty list, and whatever [`StoredVolume::read`] reports;
    /// * [`DataError::TwoDimensional`] for a file with fewer than two slices in three dimensions;
    /// * [`DataError::UnsupportedDatatype`] for complex, RGB and 128-bit voxels;
    /// * [`DataError::NonFinite`] for voxels that are NaN, infinite, or beyond f32;
    /// * [`DataError::GridMismatch`] when files differ in shape, in the directions of their axes, or by a voxel in the places of their
    ///   corners;
    /// * [`DataError::TrailingVoxels`] when at least a plane of something follows the voxels;
    /// * [`DataError::DegenerateAffine`] when the axes cannot be told from the header.
    pub fn open(paths: &[PathBuf]) -> Result<Self, DataError> {
        let files = paths
            .iter()
            .map(|path| StoredVolume::read(path))
            .collect::<Result<_, _>>()?;
        Self::from_files(files)
    }

    /// As [`Volume::open`], for files that are in memory already, such as those of a [`Perturbed`].
    ///
    /// # Errors
    /// As [`Volume::open`], without those of reading.
    pub fn from_files(files: Vec<StoredVolume>) -> Result<Self, DataError> {
        let first = files.first().ok_or(DataError::NoFiles)?;
        let orientation = orientation_of(first)?;
        for file in &files {
            check_file(file)?;
            check_same_grid(first, file)?;
            check_trailing(file)?;
            check_finite(file)?;
        }
        Ok(Self { files, orientation })
    }

    /// Values after slope and intercept, in file units, `[channel, depth, height, width]`: all of them, 4 bytes each.
    #[must_use]
    pub fn array(&self) -> Array4<f32> {
        self.slab(0..self.depth())
    }

    /// As [`Volume::array`], of some slices: `[channel, slices, height, width]`. Slices that the volume does not have are left out.
    #[must_use]
    pub fn slab(&self, slices: Range<usize>) -> Array4<f32> {
        let depth = self.depth();
        let slices = slices.start.min(depth)..slices.end.min(depth);
        let [_, height, width] = self.shape();
        let mut slab = Array4::zeros((self.channels(), slices.len(), height, width));
        let mut channel = 0;
        for file in &self.files {
            let next = channel + file.dims()[3];
            let part = slab.slice_mut(s![channel..next, .., .., ..]);
            decode(
                file,
                self.orientation,
                0..file.dims()[3],
                slices.clone(),
                part,
            );
            channel = next;
        }
        slab
    }

    /// The values of one channel in canonical order, decoded slice by slice; none for a channel that is not there.
    pub fn channel_values(&self, channel: usize) -> impl Iterator<Item = f32> + Clone + '_ {
        let file = self.channel_files().nth(channel);
        let [depth, height, width] = self.shape();
        file.into_iter().flat_map(move |(file, inner)| {
            (0..depth).flat_map(move |slice| {
                let mut values = Array4::zeros((1, 1, height, width));
                let (channel, slice) = (inner..inner + 1, slice..slice + 1);
                decode(file, self.orientation, channel, slice, values.view_mut());
                values.into_raw_vec_and_offset().0.into_iter()
            })
        })
    }

    /// The first channel that has these very values, in canonical order, unless they are all equal: a label that is the image.
    #[must_use]
    pub fn channel_with(&self, values: impl Iterator<Item = f32> + Clone) -> Option<usize> {
        let first = values.clone().next()?;
        if values.clone().all(|value| value == first) {
            return None;
        }
        (0..self.channels()).find(|&channel| {
            let mut own = self.channel_values(channel);
            let mut near = |value: f32| {
                let own = own.next();
                own.is_some_and(|own| (own - value).abs() <= SAME_VALUE)
            };
            values.clone().all(&mut near) && own.next().is_none()
        })
    }

    /// The files, in channel order.
    #[must_use]
    pub fn files(&self) -> &[StoredVolume] {
        &self.files
    }

    /// The first file's path, which names the case in messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.files.first().map_or(Path::new(""), StoredVolume::path)
    }

    /// Number of channels.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.files.iter().map(|file| file.dims()[3]).sum()
    }

    /// `[depth, height, width]` in voxels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.files.first().map_or([0; 3], |file| {
            let [i, j, k, _] = file.dims();
            self.orientation.canonical_shape([i, j, k])
        })
    }

    fn depth(&self) -> usize {
        self.shape()[0]
    }

    /// `[channel, depth, height, width]`.
    pub(crate) fn dims(&self) -> [usize; 4] {
        let [depth, height, width] = self.shape();
        [self.channels(), depth, height, width]
    }

    /// Spacing in mm along depth, height and width, from the affine.
    #[must_use]
    pub fn spacing(&self) -> [f64; 3] {
        let [x, y, z] = self.affine().column_norms();
        [z, x, y]
    }

    /// From canonical index (x, y, z) = (height, width, depth) to RAS+ mm.
    #[must_use]
    pub fn affine(&self) -> Affine {
        let stored = self.stored_affine();
        self.files.first().map_or(stored, |file| {
            let [i, j, k, _] = file.dims();
            self.orientation.canonical_affine(&stored, [i, j, k])
        })
    }

    /// A warning to show where the headers of channels place voxels apart, by less than a voxel.
    #[must_use]
    pub fn geometry_warning(&self) -> Option<String> {
        let first = self.files.first()?;
        let apart = self.files.iter().filter(|file| !same_places(first, file));
        let (file, distance) = apart
            .map(|file| (file, corner_distance(first, file)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(format!(
            "{}: the header places voxels up to {distance:.3} mm from where that of {} has them; the channels are used voxel by voxel",
            file.path().display(),
            first.path().display()
        ))
    }

    /// From stored index (i, j, k) to RAS+ mm, as the first file says.
    #[must_use]
    pub fn stored_affine(&self) -> Affine {
        self.files
            .first()
            .map_or_else(|| Affine::from_spacing([1.0; 3]), StoredVolume::affine)
    }

    /// How the stored axes lie.
    #[must_use]
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// The largest change in stored steps that epsilon allows, per channel: the largest whole number of `|slope|` within `epsilon * (hi -
    /// lo)`. `None` for float channels, which have no fixed step.
    ///
    /// # Errors
    /// [`DataError::EpsilonBelowOneStep`] when an integer channel has none, or a float channel that holds whole numbers only less than 1,
    /// which rounding would undo; [`DataError::ChannelCount`],
    /// [`DataError::InvalidRange`] and [`DataError::InvalidEpsilon`] for bad arguments.
    pub fn epsilon_stored(
        &self,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Vec<Option<i64>>, DataError> {
        let budgets = Budget::of_channels(self.channels(), ranges, epsilon)?;
        self.channel_files()
            .zip(&budgets)
            .enumerate()
            .map(|(channel, ((file, inner), budget))| {
                let below = |step| DataError::EpsilonBelowOneStep {
                    path: file.path().to_path_buf(),
                    channel,
                    epsilon,
                    smallest: budget.smallest_epsilon(step),
                };
                let scaling = file.scaling();
                match integer_steps(file.datatype(), budget, &scaling) {
                    Some(0) => Err(below(scaling.slope)),
                    None if budget.steps(1.0) == 0 && is_whole(file, inner) => Err(below(1.0)),
                    steps => Ok(steps),
                }
            })
            .collect()
    }

    /// Adds a perturbation and keeps `|v' - v| <= epsilon * (hi - lo)` at every voxel of the stored result.
    ///
    /// `delta` is `[channel, depth, height, width]` in normalised units (fractions of `hi - lo`). Integers: truncated toward
    /// zero to whole steps, clamped to [`Volume::epsilon_stored`] and to the datatype; an element of at least epsilon (as f32)
    /// means all the steps allowed, and one within 1e-5 (relatively) of a whole number of steps means that number, so that no step is lost
    /// to the rounding of delta to f32. Floats:
    /// rounded to the datatype, and moved back toward the original where rounding would exceed the bound. Where delta is 0
    /// the stored bits stay as they are.
    ///
    /// # Errors
    /// As [`Volume::epsilon_stored`]; [`DataError::Shape`] and [`DataError::NonFiniteDelta`] for a bad delta.
    pub fn perturb(
        &self,
        delta: ArrayView4<'_, f32>,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Perturbed, DataError> {
        perturb(self, delta, None, ranges, epsilon)
    }

    /// As [`Volume::perturb`], with a bound of its own for each voxel: `|v' - v| <= share * epsilon * (hi - lo)`.
    ///
    /// `shares` is `[channel or 1, depth, height, width]`, 0..1 (one channel stands for all). Where it is 0, and where it allows less
    /// than one stored step, the stored bits stay as they are.
    ///
    /// # Errors
    /// As [`Volume::perturb`]; [`DataError::Shape`] for shares of another shape.
    pub fn perturb_within(
        &self,
        delta: ArrayView4<'_, f32>,
        shares: ArrayView4<'_, f32>,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Perturbed, DataError> {
        perturb(self, delta, Some(shares), ranges, epsilon)
    }

    /// What [`Perturber::apply`] needs to perturb this volume slab by slab, in its own memory.
    ///
    /// # Errors
    /// As [`Volume::epsilon_stored`].
    pub fn perturber(
        &self,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Perturber, DataError> {
        Perturber::new(self, ranges, epsilon)
    }

    pub(crate) fn into_files(self) -> Vec<StoredVolume> {
        self.files
    }

    pub(crate) fn files_mut(&mut self) -> &mut [StoredVolume] {
        &mut self.files
    }

    /// For every channel, its file and its index inside the file.
    pub(crate) fn channel_files(&self) -> impl Iterator<Item = (&StoredVolume, usize)> {
        self.files
            .iter()
            .flat_map(|file| (0..file.dims()[3]).map(move |inner| (file, inner)))
    }
}

/// Decodes some slices of some channels of a file into `[channel, slices, height, width]`.
fn decode(
    file: &StoredVolume,
    orientation: Orientation,
    channels: Range<usize>,
    slices: Range<usize>,
    target: ArrayViewMut4<'_, f32>,
) {
    match file.datatype().size() {
        1 => decode_words::<1>(file, orientation, channels, slices, target),
        2 => decode_words::<2>(file, orientation, channels, slices, target),
        4 => decode_words::<4>(file, orientation, channels, slices, target),
        _ => decode_words::<8>(file, orientation, channels, slices, target),
    }
}

fn decode_words<const N: usize>(
    file: &StoredVolume,
    orientation: Orientation,
    channels: Range<usize>,
    slices: Range<usize>,
    mut target: ArrayViewMut4<'_, f32>,
) {
    let (datatype, endian, scaling) = (file.datatype(), file.header().endian, file.scaling());
    let (words, _) = file.voxel_bytes().as_chunks::<N>();
    let Ok(stored) = file.view(words) else {
        return;
    };
    let slab = orientation
        .canonical_view(stored)
        .slice_move(s![channels, slices, .., ..]);
    target.zip_mut_with(&slab, |value, word| {
        if let Some(number) = datatype.decode(word, endian) {
            *value = scaling.value(number) as f32;
        }
    });
}
