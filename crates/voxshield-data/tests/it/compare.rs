//! What `verify` relies on.

use std::path::{Path, PathBuf};

use ndarray::{Array4, ArrayView4};
use voxshield_data::{
    Comparison, DataError, IntensityRange, SharesBuilder, StoredVolume, Volume, Worst,
    compare_files,
};

use crate::support::{Nifti, PSR};

const EPSILON: f64 = 0.1;

struct Pair {
    folder: tempfile::TempDir,
    file: Nifti,
}

impl Pair {
    fn new() -> Self {
        let mut file = Nifti::i16(&[2, 3, 4], &[100; 24]);
        file.srow = PSR;
        file.trailing = vec![1, 2, 3];
        Self {
            folder: tempfile::tempdir().unwrap(),
            file,
        }
    }

    fn open(&self, name: &str, change: impl FnOnce(&mut Nifti)) -> Volume {
        let mut file = self.file.clone();
        change(&mut file);
        let path: PathBuf = file.write(&self.folder.path().join(name));
        Volume::open(&[path]).unwrap()
    }
}

/// In memory and, where one support stands for all channels, as streams, which is what `verify` does: both find the same.
fn compare(
    clean: &Volume,
    protected: &Volume,
    ranges: &[IntensityRange],
    epsilon: f64,
    shares: Option<ArrayView4<'_, f32>>,
) -> Result<Comparison, DataError> {
    let found = voxshield_data::compare(clean, protected, ranges, epsilon, shares)?;
    let mut builder = SharesBuilder::new(clean.shape());
    match shares {
        Some(shares) if shares.dim().0 > 1 => return Ok(found),
        Some(shares) => builder.push(&shares.iter().copied().collect::<Vec<_>>()),
        None => builder.push(&vec![1.0; clean.shape().iter().product()]),
    }
    let [old, new] = [clean, protected].map(|volume| {
        let files = volume.files().iter().map(StoredVolume::path);
        files.map(Path::to_path_buf).collect::<Vec<_>>()
    });
    let streamed = compare_files(&old, &new, ranges, epsilon, &builder.finish())?;
    assert_eq!(streamed, found);
    Ok(found)
}

fn ranges() -> [IntensityRange; 1] {
    [IntensityRange { lo: 0.0, hi: 100.0 }]
}

/// Position in the file of stored (i, j, k).
fn at([i, j, k]: [usize; 3]) -> usize {
    2 * (i + 2 * (j + 3 * k))
}

#[test]
fn equal_files_keep_every_promise() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let same = pair.open("b.nii.gz", |_| {});
    let support = Array4::from_elem((1, 3, 4, 2), 0.0);
    let found = compare(&clean, &same, &ranges(), EPSILON, Some(support.view())).unwrap();
    assert!(found.is_kept());
    assert_eq!((found.voxels, found.changed, found.worst), (24, 0, None));
}

#[test]
fn a_voxel_over_budget_is_found_with_its_place() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let protected = pair.open("b.nii", |file| {
        file.voxels[at([1, 2, 3])] = 111;
        file.voxels[at([0, 0, 1])] = 90;
    });
    let found = compare(&clean, &protected, &ranges(), EPSILON, None).unwrap();
    assert_eq!(
        (found.changed, found.over_budget, found.outside_support),
        (2, 1, 0)
    );
    assert_eq!(found.achieved, 0.11);
    let worst = Worst {
        channel: 0,
        index: [1, 2, 3],
        amount: 11.0,
    };
    assert_eq!(found.worst, Some(worst));
    assert!(!found.is_kept());
}

#[test]
fn a_change_outside_the_support_is_found_even_within_the_budget() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let protected = pair.open("b.nii", |file| file.voxels[at([1, 2, 3])] = 101);
    // PSR: z = j, x = k, y = last - i.
    let mut support = Array4::from_elem((1, 3, 4, 2), 0.0);
    let count = |support: &Array4<f32>| {
        compare(&clean, &protected, &ranges(), EPSILON, Some(support.view()))
            .unwrap()
            .outside_support
    };
    assert_eq!(count(&support), 1);
    support[[0, 2, 3, 0]] = 1.0;
    assert_eq!(count(&support), 0);
}

#[test]
fn header_extension_and_trailing_bytes_count() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let found = |change: fn(&mut Nifti)| {
        let protected = pair.open("b.nii", change);
        let found = compare(&clean, &protected, &ranges(), EPSILON, None).unwrap();
        assert!(!found.is_kept());
        (found.header_equal, found.trailing_equal)
    };
    assert_eq!(found(|file| file.extension[3] = 1), (false, true));
    assert_eq!(found(|file| file.trailing[2] = 9), (true, false));
}

#[test]
fn a_changed_scaling_is_a_change_of_values() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let protected = pair.open("b.nii", |file| file.inter = 11.0);
    let found = compare(&clean, &protected, &ranges(), EPSILON, None).unwrap();
    assert_eq!((found.changed, found.over_budget), (0, 24));
    assert!(!found.header_equal);
}

#[test]
fn several_channels_use_their_own_support_and_range() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Nifti::u8(&[2, 2, 2, 2], &[50; 16]);
    let clean = Volume::open(&[file.write(&folder.path().join("a.nii"))]).unwrap();
    (file.voxels[0], file.voxels[15]) = (53, 53);
    let protected = Volume::open(&[file.write(&folder.path().join("b.nii"))]).unwrap();
    let ranges = [
        IntensityRange { lo: 0.0, hi: 10.0 },
        IntensityRange { lo: 0.0, hi: 100.0 },
    ];
    let mut support = Array4::from_elem((2, 2, 2, 2), 1.0);
    support[[1, 1, 1, 1]] = 0.0;
    let found = compare(&clean, &protected, &ranges, 0.1, Some(support.view())).unwrap();
    assert_eq!(
        (found.changed, found.over_budget, found.outside_support),
        (2, 1, 1)
    );
    let worst = found.worst.unwrap();
    assert_eq!((worst.channel, worst.index), (0, [0, 0, 0]));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let pair = Pair::new();
    let clean = pair.open("a.nii", |_| {});
    let refused = |change: fn(&mut Nifti), word: &str| {
        let other = pair.open("b.nii", change);
        let error = compare(&clean, &other, &ranges(), EPSILON, None).unwrap_err();
        assert!(matches!(error, DataError::Incomparable { .. }), "{error}");
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(|file| *file = Nifti::i16(&[2, 3, 5], &[1; 30]), "shape");
    refused(|file| file.code = 512, "datatype");
    refused(|file| file.big = true, "byte order");
    refused(|file| file.srow[0][2] = -2.0, "axis order");
    let wrong = Array4::from_elem((1, 1, 4, 2), 1.0);
    let error = compare(&clean, &clean, &ranges(), EPSILON, Some(wrong.view())).unwrap_err();
    assert!(matches!(error, DataError::Shape { .. }), "{error}");
    let error = compare(&clean, &clean, &[], EPSILON, None).unwrap_err();
    assert!(matches!(error, DataError::ChannelCount { .. }), "{error}");
}
