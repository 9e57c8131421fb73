//! A clean and a protected volume against each other: what `verify` checks.

use ndarray::{ArrayView4, s};

use crate::budget::Budget;
use crate::error::DataError;
use crate::intensity::IntensityRange;
use crate::nifti::{Number, StoredVolume};
use crate::volume::Volume;

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

/// Compares two volumes of the same case, voxel by voxel, in stored numbers.
///
/// `ranges` has one range per channel; `shares` is `[channel or 1, depth, height, width]` in canonical order, the share of epsilon
/// (0..1) by which each voxel may differ (one channel stands for all); without it all may use the whole of epsilon.
///
/// # Errors
/// [`DataError::Incomparable`] when the number of files, dimensions, datatype or axis order differ;
/// [`DataError::ChannelCount`], [`DataError::InvalidRange`], [`DataError::InvalidEpsilon`] and [`DataError::Shape`] for bad
/// arguments.
pub fn compare(
    clean: &Volume,
    protected: &Volume,
    ranges: &[IntensityRange],
    epsilon: f64,
    shares: Option<ArrayView4<'_, f32>>,
) -> Result<Comparison, DataError> {
    let budgets = clean.budgets(ranges, epsilon)?;
    check_comparable(clean, protected)?;
    let shares = shares
        .as_ref()
        .map(|shares| clean.broadcast(shares))
        .transpose()?;
    let mut result = Comparison {
        voxels: 0,
        achieved: 0.0,
        over_budget: 0,
        worst: None,
        outside_support: 0,
        changed: 0,
        header_equal: true,
        trailing_equal: true,
    };
    let mut channel = 0;
    for (old, new) in clean.files().iter().zip(protected.files()) {
        result.header_equal &= old.same_frame(new);
        result.trailing_equal &= old.trailing_bytes() == new.trailing_bytes();
        let [i, j, k, inner] = old.dims();
        let per_channel = i * j * k;
        let allowed = shares.as_ref().map(|shares| {
            let channels = shares.slice(s![channel..channel + inner, .., .., ..]);
            let stored = clean.orientation().stored_view(channels);
            stored.reversed_axes().iter().copied().collect::<Vec<_>>()
        });
        for (position, (a, b)) in voxels(old).zip(voxels(new)).enumerate() {
            result.voxels += 1;
            if a.bytes == b.bytes && old.scaling() == new.scaling() {
                continue;
            }
            let bits = u64::from(a.bytes != b.bytes);
            result.changed += bits;
            let share = allowed
                .as_ref()
                .map_or(1.0, |shares| shares.get(position).copied().unwrap_or(0.0));
            result.outside_support += if share > 0.0 { 0 } else { bits };
            let at = channel + position / per_channel;
            let Some(budget) = budgets.get(at) else {
                continue;
            };
            let change = change(old, new, a.number, b.number);
            // A voxel without a share is counted once, as outside the support.
            let over = share > 0.0 && !budget.share(share).allows(change) || !budget.allows(change);
            result.over_budget += u64::from(over);
            let fraction = budget.fraction(change);
            if fraction > result.achieved {
                result.achieved = fraction;
                let [i, j, k, _] = old.index_of(position);
                result.worst = Some(Worst {
                    channel: at,
                    index: [i, j, k],
                    amount: change,
                });
            }
        }
        channel += inner;
    }
    Ok(result)
}

struct Voxel<'a> {
    bytes: &'a [u8],
    number: Number,
}

fn voxels(file: &StoredVolume) -> impl Iterator<Item = Voxel<'_>> {
    file.voxel_bytes()
        .chunks_exact(file.datatype().size())
        .zip(file.numbers())
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

fn check_comparable(clean: &Volume, protected: &Volume) -> Result<(), DataError> {
    let differs = |what, clean_value: String, protected_value: String| {
        if clean_value == protected_value {
            return Ok(());
        }
        Err(DataError::Incomparable {
            clean: clean.path().to_path_buf(),
            protected: protected.path().to_path_buf(),
            what,
            clean_value,
            protected_value,
        })
    };
    let (a, b) = (clean.files(), protected.files());
    differs(
        "the number of files",
        a.len().to_string(),
        b.len().to_string(),
    )?;
    for (a, b) in a.iter().zip(b) {
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
    let codes = |volume: &Volume| volume.orientation().codes();
    differs("the axis order", codes(clean), codes(protected))
}
