//! The image of one case.

use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayView4, Axis, s};

use crate::budget::{Budget, integer_steps};
use crate::error::DataError;
use crate::geometry::{Affine, Orientation};
use crate::intensity::IntensityRange;
use crate::nifti::StoredVolume;
use crate::perturb::{Perturbed, perturb};

/// Channels given as separate files may differ by this much in any entry of the affine (mm): headers are rounded.
const AFFINE_TOLERANCE: f64 = 1e-3;

/// The image of one case in canonical order, with the files it came from.
#[derive(Clone, Debug)]
pub struct Volume {
    files: Vec<StoredVolume>,
    orientation: Orientation,
    array: Array4<f32>,
}

impl Volume {
    /// Opens the image of one case: several 3-D files are channels in the order given, a 4-D file has its channels inside.
    ///
    /// # Errors
    /// * [`DataError::NoFiles`] for an empty list, and whatever [`StoredVolume::read`] reports;
    /// * [`DataError::TwoDimensional`] for a file with fewer than two slices in three dimensions;
    /// * [`DataError::UnsupportedDatatype`] for complex, RGB and 128-bit voxels;
    /// * [`DataError::NonFinite`] for voxels that are NaN, infinite, or beyond f32;
    /// * [`DataError::GridMismatch`] when files differ in shape or affine;
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
        let [i, j, k, _] = first.dims();
        let channels = files.iter().map(|file| file.dims()[3]).sum();
        for file in &files {
            check_file(file)?;
            check_same_grid(first, file)?;
        }
        let [depth, height, width] = orientation.canonical_shape([i, j, k]);
        let mut array = Array4::zeros((channels, depth, height, width));
        let mut channel = 0;
        for file in &files {
            let values = finite_values(file)?;
            let view = orientation.canonical_view(file.view(&values)?);
            let next = channel + view.len_of(Axis(0));
            array.slice_mut(s![channel..next, .., .., ..]).assign(&view);
            channel = next;
        }
        Ok(Self {
            files,
            orientation,
            array,
        })
    }

    /// Values after slope and intercept, in file units, `[channel, depth, height, width]`.
    #[must_use]
    pub fn array(&self) -> &Array4<f32> {
        &self.array
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
        self.array.len_of(Axis(0))
    }

    /// `[depth, height, width]` in voxels.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        let (_, depth, height, width) = self.array.dim();
        [depth, height, width]
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
    /// [`DataError::EpsilonBelowOneStep`] when an integer channel has none; [`DataError::ChannelCount`],
    /// [`DataError::InvalidRange`] and [`DataError::InvalidEpsilon`] for bad arguments.
    pub fn epsilon_stored(
        &self,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Vec<Option<i64>>, DataError> {
        let budgets = self.budgets(ranges, epsilon)?;
        self.channel_files()
            .zip(&budgets)
            .enumerate()
            .map(|(channel, ((file, _), budget))| {
                let scaling = file.scaling();
                match integer_steps(file.datatype(), budget, &scaling) {
                    Some(0) => Err(DataError::EpsilonBelowOneStep {
                        path: file.path().to_path_buf(),
                        channel,
                        epsilon,
                        smallest: budget.smallest_epsilon(scaling.slope),
                    }),
                    steps => Ok(steps),
                }
            })
            .collect()
    }

    /// Adds a perturbation and keeps `|v' - v| <= epsilon * (hi - lo)` at every voxel of the stored result.
    ///
    /// `delta` is `[channel, depth, height, width]` in normalised units (fractions of `hi - lo`). Integers: truncated toward
    /// zero to whole steps, clamped to [`Volume::epsilon_stored`] and to the datatype; an element of at least epsilon (as f32)
    /// means all the steps allowed, so that a saturated delta does not lose a step to the rounding of epsilon to f32. Floats:
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

    /// Shares of epsilon as they are for every channel.
    pub(crate) fn broadcast<'a>(
        &self,
        shares: &'a ArrayView4<'_, f32>,
    ) -> Result<ArrayView4<'a, f32>, DataError> {
        let fits = shares.shape().iter().skip(1).eq(self.shape().iter());
        // ndarray would stretch a depth of 1 too, which nobody means.
        let view = if fits {
            shares.broadcast(self.array().raw_dim())
        } else {
            None
        };
        view.ok_or_else(|| DataError::Shape {
            what: "shares of epsilon [channel or 1, depth, height, width]",
            expected: self.array().shape().to_vec(),
            found: shares.shape().to_vec(),
        })
    }

    /// One budget a channel.
    pub(crate) fn budgets(
        &self,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Vec<Budget>, DataError> {
        if ranges.len() != self.channels() {
            return Err(DataError::ChannelCount {
                what: "intensity ranges, one per channel",
                expected: self.channels(),
                found: ranges.len(),
            });
        }
        ranges
            .iter()
            .map(|range| Budget::new(epsilon, range))
            .collect()
    }

    /// For every channel, its file and its index inside the file.
    pub(crate) fn channel_files(&self) -> impl Iterator<Item = (&StoredVolume, usize)> {
        self.files
            .iter()
            .flat_map(|file| (0..file.dims()[3]).map(move |inner| (file, inner)))
    }
}

fn orientation_of(file: &StoredVolume) -> Result<Orientation, DataError> {
    Orientation::from_affine(&file.affine()).ok_or_else(|| DataError::DegenerateAffine {
        path: file.path().to_path_buf(),
    })
}

/// A real-valued volume with three dimensions.
pub(crate) fn check_file(file: &StoredVolume) -> Result<(), DataError> {
    let path = || file.path().to_path_buf();
    if !file.datatype().is_real() {
        return Err(DataError::UnsupportedDatatype {
            path: path(),
            datatype: file.datatype(),
        });
    }
    let dims = file.dims();
    if file.header().dim[0] < 3 || dims[2] == 1 {
        return Err(DataError::TwoDimensional { path: path(), dims });
    }
    Ok(())
}

fn check_same_grid(first: &StoredVolume, file: &StoredVolume) -> Result<(), DataError> {
    let mismatch = |what, expected, found| {
        Err(DataError::GridMismatch {
            path: file.path().to_path_buf(),
            reference: first.path().to_path_buf(),
            what,
            expected,
            found,
        })
    };
    let (a, b) = (first.dims(), file.dims());
    if a.iter().take(3).ne(b.iter().take(3)) {
        return mismatch("the shape", format!("{a:?}"), format!("{b:?}"));
    }
    let (a, b) = (first.affine(), file.affine());
    // Written so that NaN is a mismatch.
    if a.max_abs_difference(&b) <= AFFINE_TOLERANCE {
        return Ok(());
    }
    mismatch(
        "the affine",
        format!("{:?}", a.rows()),
        format!("{:?}", b.rows()),
    )
}

/// The values in file order as f32, all finite.
fn finite_values(file: &StoredVolume) -> Result<Vec<f32>, DataError> {
    let values: Vec<f32> = file.values().map(|value| value as f32).collect();
    let mut bad = values
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.is_finite())
        .map(|(position, _)| position);
    match bad.next() {
        None => Ok(values),
        Some(first) => Err(DataError::NonFinite {
            path: file.path().to_path_buf(),
            count: 1 + bad.count() as u64,
            first: file.index_of(first),
        }),
    }
}
