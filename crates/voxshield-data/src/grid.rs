//! What files must be to be the channels of one volume.

use crate::error::DataError;
use crate::geometry::Orientation;
use crate::nifti::StoredVolume;

/// Channels given as separate files may differ by this much in any entry of the affine (mm) without a word: headers are rounded.
const AFFINE_TOLERANCE: f64 = 1e-3;

pub(crate) fn orientation_of(file: &StoredVolume) -> Result<Orientation, DataError> {
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

pub(crate) fn check_same_grid(first: &StoredVolume, file: &StoredVolume) -> Result<(), DataError> {
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
    let voxel = a.column_norms().into_iter().fold(f64::INFINITY, f64::min);
    let same_axes = orientation_of(first).ok() == orientation_of(file).ok();
    // Written so that NaN is a mismatch.
    if same_places(first, file) || same_axes && corner_distance(first, file) < voxel {
        return Ok(());
    }
    mismatch(
        "the affine",
        format!("{:?}", a.rows()),
        format!("{:?}", b.rows()),
    )
}

/// Whether two files place their voxels equally, up to the rounding of headers.
pub(crate) fn same_places(first: &StoredVolume, file: &StoredVolume) -> bool {
    first.affine().max_abs_difference(&file.affine()) <= AFFINE_TOLERANCE
}

/// How far apart, in mm, two files of one shape have their corners.
pub(crate) fn corner_distance(first: &StoredVolume, file: &StoredVolume) -> f64 {
    let [i, j, k, _] = first.dims();
    first
        .affine()
        .max_corner_distance(&file.affine(), [i, j, k])
}

/// Less than a plane of voxels follows the voxels, or zeros: a further volume behind them would be published as it is.
pub(crate) fn check_trailing(file: &StoredVolume) -> Result<(), DataError> {
    let [i, j, ..] = file.dims();
    let (plane, trailing) = (i * j * file.datatype().size(), file.trailing_bytes());
    if trailing.len() < plane || trailing.iter().all(|&byte| byte == 0) {
        return Ok(());
    }
    Err(DataError::TrailingVoxels {
        path: file.path().to_path_buf(),
        found: trailing.len(),
        plane,
    })
}

/// Whether a channel of a file holds whole numbers only, after slope and intercept.
pub(crate) fn is_whole(file: &StoredVolume, channel: usize) -> bool {
    let [i, j, k, _] = file.dims();
    let voxels = i * j * k;
    let mut values = file.values().skip(channel * voxels).take(voxels);
    values.all(|value| value.fract() == 0.0)
}

/// All values are finite in f32.
pub(crate) fn check_finite(file: &StoredVolume) -> Result<(), DataError> {
    let scaling = file.scaling();
    let finite = |value: f64| (value as f32).is_finite();
    if let Some((low, high)) = file.datatype().integer_limits() {
        // A straight line between finite ends.
        if [low, high]
            .map(|end| scaling.apply(end as f64))
            .into_iter()
            .all(finite)
        {
            return Ok(());
        }
    }
    let mut bad = (file.values().enumerate())
        .filter(|&(_, value)| !finite(value))
        .map(|(position, _)| position);
    match bad.next() {
        None => Ok(()),
        Some(first) => Err(DataError::NonFinite {
            path: file.path().to_path_buf(),
            count: 1 + bad.count() as u64,
            first: file.index_of(first),
        }),
    }
}
