//! Label maps.

use std::path::PathBuf;

use voxshield_data::{DataError, LabelMap, Volume};

use crate::support::{Nifti, PSR};

fn write(file: &Nifti, name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = file.write(&folder.path().join(name));
    (folder, path)
}

#[test]
fn integral_floats_are_labels_in_canonical_order() {
    let mut file = Nifti::f32(&[2, 2, 2], &[0.0, 1.0, 2.0, 3.0, 0.0, 0.0, -0.0, 65535.0]);
    file.srow = PSR;
    let (_folder, path) = write(&file, "l.nii.gz");
    let labels = LabelMap::open(&path).unwrap();
    // PSR: z = j, x = k, y = last - i.
    assert_eq!(labels.array()[[0, 0, 0]], 1);
    assert_eq!(labels.array()[[0, 0, 1]], 0);
    assert_eq!(labels.array()[[1, 0, 1]], 2);
    assert_eq!(labels.array()[[1, 1, 0]], 65535);
    assert_eq!(
        labels.classes().into_iter().collect::<Vec<_>>(),
        [0, 1, 2, 3, 65535]
    );
    assert_eq!(labels.foreground_count(), 4);
    assert_eq!(labels.path(), path);
}

#[test]
fn values_that_are_no_labels_are_refused_with_place_and_value() {
    for (bad, slope) in [
        (0.5, 1.0),
        (-1.0, 1.0),
        (65536.0, 1.0),
        (f32::NAN, 1.0),
        (3.0, 0.5),
    ] {
        let mut values = [0.0; 8];
        values[6] = bad;
        let (_folder, path) = write(&Nifti::f32(&[2, 2, 2], &values).scaled(slope, 0.0), "l.nii");
        match LabelMap::open(&path).unwrap_err() {
            DataError::LabelValue {
                path: named,
                value,
                index,
            } => {
                assert_eq!((named, index), (path, [0, 1, 1]));
                let expected = f64::from(bad) * slope;
                assert!(value == expected || value.is_nan() && expected.is_nan());
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn scaled_labels_may_be_a_little_off() {
    // 0.1 as f32 times 30 is 3.0000000447.
    let (_folder, path) = write(&Nifti::u8(&[2, 2, 2], &[30; 8]).scaled(0.1, 0.0), "l.nii");
    assert_eq!(LabelMap::open(&path).unwrap().array()[[0, 0, 0]], 3);
}

#[test]
fn channels_and_slices_are_no_label_maps() {
    let (_folder, path) = write(&Nifti::u8(&[2, 2, 2, 2], &[0; 16]), "l.nii");
    let error = LabelMap::open(&path).unwrap_err();
    assert!(
        matches!(error, DataError::LabelChannels { channels: 2, .. }),
        "{error}"
    );
    let (_folder, path) = write(&Nifti::u8(&[4, 4], &[0; 16]), "l.nii");
    let error = LabelMap::open(&path).unwrap_err();
    assert!(matches!(error, DataError::TwoDimensional { .. }), "{error}");
}

/// What the check says about a label with another header than its image.
fn check(change: impl FnOnce(&mut Nifti)) -> Result<Option<String>, DataError> {
    let mut image = Nifti::u8(&[3, 4, 5], &[1; 60]);
    image.srow = PSR;
    let (_folder, image_path) = write(&image, "image.nii");
    change(&mut image);
    let (_folder, label_path) = write(&image, "label.nii");
    let volume = Volume::open(&[image_path]).unwrap();
    LabelMap::open(&label_path).unwrap().check_matches(&volume)
}

#[test]
fn labels_must_lie_on_the_images_grid() {
    assert_eq!(check(|_| {}).unwrap(), None);
    assert_eq!(check(|file| file.srow[0][3] += 0.005).unwrap(), None);
    let warning = check(|file| file.srow[0][3] += 1.0).unwrap().unwrap();
    assert!(
        warning.contains("label.nii") && warning.contains("1.000 mm"),
        "{warning}"
    );
    let error = check(|file| *file = Nifti::u8(&[3, 4, 6], &[1; 72])).unwrap_err();
    assert!(error.to_string().contains("shape"), "{error}");
    // The same array with one axis declared the other way round: left would become right.
    let error = check(|file| file.srow[0][2] = -2.0).unwrap_err();
    assert!(matches!(error, DataError::GridMismatch { .. }), "{error}");
    assert!(error.to_string().contains("PSL"), "{error}");
}

#[test]
fn another_axis_order_for_the_same_places_is_fine() {
    // The image's PSR grid of 3 x 4 x 5, stored as RAS: x = k, y = -i, z = j.
    let ras = |file: &mut Nifti| {
        *file = Nifti::u8(&[5, 3, 4], &[1; 60]);
        file.srow = [
            [2.0, 0.0, 0.0, -5.0],
            [0.0, 0.5, 0.0, 7.0 - 0.5 * 2.0],
            [0.0, 0.0, 3.0, 11.0],
        ];
    };
    assert_eq!(check(ras).unwrap(), None);
}

#[test]
fn a_label_can_be_made_background() {
    let folder = tempfile::tempdir().unwrap();
    for large in [3, 300] {
        let numbers = [0, 1, 2, large, 2, 1, 0, 2];
        let path = Nifti::i16(&[2, 2, 2], &numbers).write(&folder.path().join("l.nii"));
        let labels = LabelMap::open(&path).unwrap();
        let without: Vec<u16> = labels.without(2).values().collect();
        let expected = labels.values().map(|l| if l == 2 { 0 } else { l });
        assert!(expected.eq(without.iter().copied()), "{without:?}");
        assert_eq!(labels.without(9).classes(), labels.classes());
    }
}
