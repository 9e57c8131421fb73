//! A clean and a protected volume against each other: what `verify` checks.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{ArrayView4, s};

use crate::budget::Budget;
use crate::error::DataError;
use crate::grid::{check_file, orientation_of};
use crate::intensity::IntensityRange;
use crate::nifti::{Number, StoredVolume, VolumeReader};
use crate::perturb::broadcast;
use crate::shares::Shares;
use crate::volume::Volume;

/// Voxels that are compared at a time, unless one plane has more.
const PART: usize = 1 << 20;

/// The voxel that differs most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worst {
    /// The case's channel.
    pub channel: usize,
    /// Stored index (i, j, k).
    pub index: [usize; 3],
    /// `|v' - v|` in file units.
    pub amount: f64,
}

/// What differs between a clean and a protected volume.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// Voxels compared, all channels together.
    pub voxels: u64,
    /// The largest `|v' - v| / (hi - lo)`.
    pub achieved: f64,
    /// Voxels with `|v' - v| > share * epsilon * (hi - lo)`; 0 when the promise is kept.
    pub over_budget: u64,
    /// The voxel with the largest `|v' - v| / (hi - lo)`, if any differs.
    pub worst: Option<Worst>,
    /// Voxels whose bits differ although the support says that they must not; 0 when the promise is kept.
    pub outside_support: u64,
    /// Voxels whose bits differ.
    pub changed: u64,
    /// Whether all bytes before the voxels are equal: header, extensions, padding.
    pub header_equal: bool,
    /// Whether all bytes after the voxels are equal.
    pub trailing_equal: bool,
}

impl Comparison {
    /// Whether budget, support and header promises are all kept.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.over_budget == 0
            && self.outside_support == 0
            && self.header_equal
            && self.trailing_equal
    }
}

/// Compares two volumes of the same case in memory, voxel by voxel, in stored numbers. Files are better compared with [`compare_files`], as `verify`
/// does it: it takes little memory.
///
/// `ranges` has one range per channel; `shares` is `[channel or 1, depth, height, width]` in canonical order, the share of epsilon
/// (0..1) by which each voxel may differ (one channel stands for all); without it all may use the whole of epsilon.
///
/// # Errors
/// [`DataError::Incomparable`] when the number of files, dimensions, datatype or axis order differ;
/// [`DataError::ChannelCount`], [`DataError::InvalidRange`], [`DataError::InvalidEpsilon`] and [`DataError::Shape`] for bad
/// arguments.
///
/// # Examples
///
/// ```
/// # use ndarray::{Array3, Array4};
/// # use voxshield_data::{Affine, NewVoxels, StoredVolume, Volume, write_new};
/// use voxshield_data::{IntensityRange, compare};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("a.nii");
/// # let voxels = Array3::from_elem((2, 3, 4), 50_i16);
/// # write_new(&path, NewVoxels::from(voxels.view()), &Affine::from_spacing([1.0; 3]))?;
/// let clean = Volume::open(&[path])?;
/// let ranges = [IntensityRange { lo: 0.0, hi: 100.0 }];
/// let delta = Array4::from_elem(clean.array().raw_dim(), 0.05);
/// let perturbed = clean.perturb(delta.view(), &ranges, 0.05)?;
/// let protected = Volume::from_files(perturbed.files)?;
/// let found = compare(&clean, &protected, &ranges, 0.05, None)?;
/// assert!(found.is_kept());
/// assert_eq!((found.changed, found.achieved), (24, 0.05));
/// # Ok(())
/// # }
/// ```
pub fn compare(
    clean: &Volume,
    protected: &Volume,
    ranges: &[IntensityRange],
    epsilon: f64,
    shares: Option<ArrayView4<'_, f32>>,
) -> Result<Comparison, DataError> {
    let budgets = Budget::of_channels(clean.channels(), ranges, epsilon)?;
    check_comparable(clean.files().iter(), protected.files().iter())?;
    let shares = (shares.as_ref())
        .map(|shares| broadcast(shares, clean.dims()))
        .transpose()?;
    let allowed = |channel: usize, planes: Range<usize>| {
        let channel = shares.as_ref()?.slice(s![channel..=channel, .., .., ..]);
        let stored = clean.orientation().stored_view(channel);
        let planes = stored.slice(s![.., .., planes, ..]).reversed_axes();
        Some(planes.iter().copied().collect())
    };
    let mut comparer = Comparer::new(budgets);
    for (old, new) in clean.files().iter().zip(protected.files()) {
        let (mut a, mut b) = (old.voxel_bytes(), new.voxel_bytes());
        comparer.voxels((old, new), (&mut a, &mut b), &allowed)?;
        comparer.frames(old, new);
    }
    Ok(comparer.result)
}

/// As [`compare`], of the files of a case, which are read as streams: of a volume of any size only a few slices are in memory.
///
/// # Errors
/// As [`compare`] and [`Volume::open`].
pub fn compare_files(
    clean: &[PathBuf],
    protected: &[PathBuf],
    ranges: &[IntensityRange],
    epsilon: f64,
    shares: &Shares,
) -> Result<Comparison, DataError> {
    let open = |paths: &[PathBuf]| -> Result<Vec<Stream>, DataError> {
        let streams = paths.iter().map(|path| Stream::open(path));
        streams.collect()
    };
    let (clean, protected) = (open(clean)?, open(protected)?);
    let frames = |streams: &'_ [Stream]| -> Vec<StoredVolume> {
        let frames = streams.iter().map(|stream| stream.reader.frame().clone());
        frames.collect()
    };
    let (old, new) = (frames(&clean), frames(&protected));
    check_comparable(old.iter(), new.iter())?;
    let first = old.first().ok_or(DataError::NoFiles)?;
    let orientation = orientation_of(first)?;
    let [i, j, k, _] = first.dims();
    let shape = orientation.canonical_shape([i, j, k]);
    if shares.shape() != shape {
        return Err(DataError::Shape {
            what: "shares of epsilon [depth, height, width]",
            expected: shape.to_vec(),
            found: shares.shape().to_vec(),
        });
    }
    let channels = old.iter().map(|file| file.dims()[3]).sum();
    let mut comparer = Comparer::new(Budget::of_channels(channels, ranges, epsilon)?);
    let frames = old.iter().zip(&new);
    for ((old, new), (mut a, mut b)) in frames.zip(clean.into_iter().zip(protected)) {
        comparer.voxels((old, new), (&mut a, &mut b), &|_, planes| {
            Some(shares.stored(orientation, planes))
        })?;
        comparer.frames(&a.reader.finish()?, &b.reader.finish()?);
    }
    Ok(comparer.result)
}

/// Voxels in file order, in parts.
trait Voxels {
    fn next(&mut self, count: usize) -> Result<&[u8], DataError>;
}

impl Voxels for &[u8] {
    fn next(&mut self, count: usize) -> Result<&[u8], DataError> {
        let (next, rest) = self.split_at(count.min(self.len()));
        *self = rest;
        Ok(next)
    }
}

struct Stream {
    reader: VolumeReader,
    buffer: Vec<u8>,
}

impl Stream {
    fn open(path: &Path) -> Result<Self, DataError> {
        let reader = VolumeReader::open(path)?;
        check_file(reader.frame())?;
        Ok(Self {
            reader,
            buffer: Vec::new(),
        })
    }
}

impl Voxels for Stream {
    fn next(&mut self, count: usize) -> Result<&[u8], DataError> {
        self.reader.next(&mut self.buffer, count)?;
        Ok(&self.buffer)
    }
}

/// Shares of epsilon in file order, of a channel and its planes `k`.
type Allowed<'a> = dyn Fn(usize, Range<usize>) -> Option<Vec<f32>> + 'a;

struct Comparer {
    budgets: Vec<Budget>,
    /// The first channel of the file in hand.
    channel: usize,
    result: Comparison,
}

impl Comparer {
    fn new(budgets: Vec<Budget>) -> Self {
        Self {
            budgets,
            channel: 0,
            result: Comparison {
                voxels: 0,
                achieved: 0.0,
                over_budget: 0,
                worst: None,
                outside_support: 0,
                changed: 0,
                header_equal: true,
                trailing_equal: true,
            },
        }
    }

    /// What is around the voxels.
    fn frames(&mut self, old: &StoredVolume, new: &StoredVolume) {
        self.result.header_equal &= old.same_frame(new);
        self.result.trailing_equal &= old.trailing_bytes() == new.trailing_bytes();
    }

    /// All voxels of one file.
    fn voxels(
        &mut self,
        files: (&StoredVolume, &StoredVolume),
        (old, new): (&mut dyn Voxels, &mut dyn Voxels),
        allowed: &Allowed<'_>,
    ) -> Result<(), DataError> {
        let [i, j, k, inner] = files.0.dims();
        let plane = i * j;
        let step = (PART / plane.max(1)).max(1);
        for channel in 0..inner {
            for first in (0..k).step_by(step) {
                let planes = first..(first + step).min(k);
                let count = planes.len() * plane * files.0.datatype().size();
                let shares = allowed(self.channel + channel, planes);
                let before = (channel * k + first) * plane;
                self.part(files, before, old.next(count)?, new.next(count)?, shares);
            }
        }
        self.channel += inner;
        Ok(())
    }

    /// Voxels of one channel; `before` are those of the file that come before them.
    fn part(
        &mut self,
        (old, new): (&StoredVolume, &StoredVolume),
        before: usize,
        old_bytes: &[u8],
        new_bytes: &[u8],
        shares: Option<Vec<f32>>,
    ) {
        let result = &mut self.result;
        let voxels = voxels(old, old_bytes).zip(voxels(new, new_bytes));
        for (position, (a, b)) in voxels.enumerate() {
            result.voxels += 1;
            if a.bytes == b.bytes && old.scaling() == new.scaling() {
                continue;
            }
            let bits = u64::from(a.bytes != b.bytes);
            result.changed += bits;
            let share = shares
                .as_ref()
                .map_or(1.0, |shares| shares.get(position).copied().unwrap_or(0.0));
            result.outside_support += if share > 0.0 { 0 } else { bits };
            let [i, j, k, inner] = old.index_of(before + position);
            let channel = self.channel + inner;
            let Some(budget) = self.budgets.get(channel) else {
                continue;
            };
            let change = change(old, new, a.number, b.number);
            // A voxel without a share is counted once, as outside the support.
            let over = share > 0.0 && !budget.share(share).allows(change) || !budget.allows(change);
            result.over_budget += u64::from(over);
            let fraction = budget.fraction(change);
            if fraction > result.achieved {
                result.achieved = fraction;
                result.worst = Some(Worst {
                    channel,
                    index: [i, j, k],
                    amount: change,
                });
            }
        }
    }
}

struct Voxel<'a> {
    bytes: &'a [u8],
    number: Number,
}

fn voxels<'a>(file: &StoredVolume, bytes: &'a [u8]) -> impl Iterator<Item = Voxel<'a>> {
    bytes
        .chunks_exact(file.datatype().size())
        .zip(file.numbers_of(bytes))
        .map(|(bytes, number)| Voxel { bytes, number })
}

/// `|v' - v|`. Somebody may have changed the scaling too: then only the values count.
fn change(old: &StoredVolume, new: &StoredVolume, a: Number, b: Number) -> f64 {
    if old.scaling() == new.scaling() {
        Budget::change(a, b, &old.scaling())
    } else {
        (new.scaling().value(b) - old.scaling().value(a)).abs()
    }
}

fn check_comparable<'a>(
    clean: impl Iterator<Item = &'a StoredVolume> + Clone,
    protected: impl Iterator<Item = &'a StoredVolume> + Clone,
) -> Result<(), DataError> {
    let path = |file: Option<&StoredVolume>| {
        file.map_or_else(PathBuf::new, |file| file.path().to_path_buf())
    };
    let (first, second) = (clean.clone().next(), protected.clone().next());
    let differs = |what, clean_value: String, protected_value: String| {
        if clean_value == protected_value {
            return Ok(());
        }
        Err(DataError::Incomparable {
            clean: path(first),
            protected: path(second),
            what,
            clean_value,
            protected_value,
        })
    };
    differs(
        "the number of files",
        clean.clone().count().to_string(),
        protected.clone().count().to_string(),
    )?;
    for (a, b) in clean.zip(protected) {
        differs(
            "the shape",
            format!("{:?}", a.dims()),
            format!("{:?}", b.dims()),
        )?;
        differs(
            "the datatype",
            a.datatype().to_string(),
            b.datatype().to_string(),
        )?;
        let endian = |file: &StoredVolume| format!("{:?}", file.header().endian);
        differs("the byte order", endian(a), endian(b))?;
    }
    let (Some(first), Some(second)) = (first, second) else {
        return Ok(());
    };
    let codes = |file| Ok::<_, DataError>(orientation_of(file)?.codes());
    differs("the axis order", codes(first)?, codes(second)?)
}
