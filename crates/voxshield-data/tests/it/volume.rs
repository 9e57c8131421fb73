//! Opening the image of a case.

use voxshield_data::{DataError, LabelMap, Modality, StoredVolume, Value, Volume};

use crate::support::{Nifti, PSR};

fn open(file: &Nifti) -> Result<Volume, DataError> {
    let folder = tempfile::tempdir().unwrap();
    Volume::open(&[file.write(&folder.path().join("v.nii"))])
}

#[test]
fn canonical_order_spacing_and_scaling() {
    let values: Vec<i16> = (0..24).collect();
    let mut file = Nifti::i16(&[2, 3, 4], &values).scaled(-0.5, 10.0);
    file.srow = PSR;
    let volume = open(&file).unwrap();
    assert_eq!((volume.channels(), volume.shape()), (1, [3, 4, 2]));
    assert_eq!(volume.spacing(), [3.0, 2.0, 0.5]);
    assert_eq!(volume.orientation().codes(), "PSR");
    for (position, value) in values.iter().enumerate() {
        let (i, j, k) = (position % 2, position / 2 % 3, position / 6);
        assert_eq!(
            volume.array()[[0, j, k, 1 - i]],
            f32::from(*value) * -0.5 + 10.0
        );
        let stored = volume.stored_affine().apply([i, j, k].map(|v| v as f64));
        let canonical = volume.affine().apply([k, 1 - i, j].map(|v| v as f64));
        assert_eq!(stored, canonical);
    }
    assert_eq!(Modality::guess(&volume), Modality::Mri);
}

#[test]
fn channels_of_a_4d_file_and_trailing_ones() {
    let values: Vec<u8> = (0..16).collect();
    let volume = open(&Nifti::u8(&[2, 2, 2, 2], &values)).unwrap();
    assert_eq!(volume.channels(), 2);
    assert_eq!(volume.array()[[1, 0, 0, 0]], 8.0);
    let volume = open(&Nifti::u8(&[2, 2, 4, 1, 1, 1, 1], &values)).unwrap();
    assert_eq!((volume.channels(), volume.shape()), (1, [4, 2, 2]));
}

#[test]
fn exact_64_bit_integers() {
    let numbers = [
        i64::MIN,
        i64::MAX,
        (1 << 53) + 1,
        -(1 << 53) - 1,
        0,
        1,
        -1,
        42,
    ];
    let bytes = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
    for big in [false, true] {
        let mut file = Nifti::new(&[2, 2, 2], 1024, Vec::clone(&bytes));
        file.big = big;
        let folder = tempfile::tempdir().unwrap();
        let stored = StoredVolume::read(&file.write(&folder.path().join("v.nii"))).unwrap();
        let found: Vec<Value> = stored.stored_values().collect();
        assert_eq!(found, numbers.map(|v| Value::Integer(v.into())));
    }
}

#[test]
fn slices_are_read_but_not_opened() {
    for shape in [&[4, 4][..], &[4, 4, 1], &[16], &[4, 4, 1, 1]] {
        let file = Nifti::u8(shape, &[1; 16]);
        let folder = tempfile::tempdir().unwrap();
        let path = file.write(&folder.path().join("v.nii"));
        assert_eq!(StoredVolume::read(&path).unwrap().voxel_count(), 16);
        let error = Volume::open(&[path]).unwrap_err();
        assert!(matches!(error, DataError::TwoDimensional { .. }), "{error}");
    }
}

#[test]
fn complex_and_colour_are_named() {
    for (code, bits, name) in [
        (32, 64, "complex64"),
        (128, 24, "rgb24"),
        (1536, 128, "float128"),
    ] {
        let mut file = Nifti::new(&[2, 2, 2], code, vec![0; bits as usize]);
        file.bitpix = bits;
        let error = open(&file).unwrap_err();
        assert!(
            matches!(error, DataError::UnsupportedDatatype { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn voxels_that_are_not_finite_are_counted_and_placed() {
    let mut values = [1.0; 12];
    (values[7], values[11]) = (f32::NAN, f32::NEG_INFINITY);
    match open(&Nifti::f32(&[2, 3, 2], &values)).unwrap_err() {
        DataError::NonFinite { count, first, .. } => {
            assert_eq!((count, first), (2, [1, 0, 1, 0]));
        }
        other => panic!("{other}"),
    }
    let big: Vec<u8> = [1e300_f64; 8]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect();
    let error = open(&Nifti::new(&[2, 2, 2], 64, big)).unwrap_err();
    assert!(
        matches!(error, DataError::NonFinite { count: 8, .. }),
        "{error}"
    );
}

#[test]
fn files_of_one_case_share_a_grid() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Nifti::u8(&[2, 3, 4], &[1; 24]);
    let first = file.write(&folder.path().join("a.nii"));
    file.srow[1][3] = 0.0009;
    let near = file.write(&folder.path().join("b.nii"));
    file.srow[1][3] = 1.0;
    let far = file.write(&folder.path().join("c.nii"));
    file.srow[1] = [0.0, -1.0, 0.0, 0.0];
    let turned = file.write(&folder.path().join("e.nii"));
    let other = Nifti::u8(&[2, 3, 5], &[1; 30]).write(&folder.path().join("d.nii"));
    assert_eq!(Volume::open(&[first.clone(), near]).unwrap().channels(), 2);
    for (path, what) in [(far, "affine"), (turned, "affine"), (other, "shape")] {
        let error = Volume::open(&[first.clone(), path]).unwrap_err();
        assert!(matches!(error, DataError::GridMismatch { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    assert!(matches!(Volume::open(&[]), Err(DataError::NoFiles)));
}

#[test]
fn an_affine_without_inverse_has_no_orientation() {
    let mut file = Nifti::u8(&[2, 2, 2], &[1; 8]);
    file.srow[1] = file.srow[0];
    let error = open(&file).unwrap_err();
    assert!(
        matches!(error, DataError::DegenerateAffine { .. }),
        "{error}"
    );
    file.srow[1] = [0.0, f64::NAN, 0.0, 0.0];
    assert!(matches!(
        open(&file),
        Err(DataError::DegenerateAffine { .. })
    ));
}

/// What programs round differently is less than a voxel: the channels are those of one place all the same.
#[test]
fn channels_a_little_apart_are_taken_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Nifti::u8(&[2, 3, 4], &[1; 24]);
    let mut write = |name: &str, offset: f64| {
        file.srow[1][3] = offset;
        file.write(&folder.path().join(name))
    };
    let files = [
        write("a.nii", 0.0),
        write("b.nii", 0.01),
        write("c.nii", 0.5),
    ];
    let volume = Volume::open(&files).unwrap();
    let warning = volume.geometry_warning().unwrap();
    assert!(
        warning.contains("0.500 mm") && warning.contains("c.nii"),
        "{warning}"
    );
    let rounded = Volume::open(&[files[0].clone(), write("d.nii", 0.0009)]).unwrap();
    assert_eq!(rounded.geometry_warning(), None);
}

/// A second volume behind the first would be published as it is.
#[test]
fn a_plane_behind_the_voxels_is_refused_unless_it_is_zeros() {
    let mut file = Nifti::i16(&[3, 2, 2], &[1; 12]);
    let plane = 3 * 2 * 2;
    for (trailing, refused) in [
        (vec![7; plane - 1], false),
        (vec![0; 100], false),
        (vec![7; plane], true),
    ] {
        file.trailing = trailing;
        let found = open(&file);
        let is_refused = matches!(found, Err(DataError::TrailingVoxels { plane: 12, .. }));
        assert_eq!(is_refused, refused, "{found:?}");
        let folder = tempfile::tempdir().unwrap();
        let label = LabelMap::open(&file.write(&folder.path().join("l.nii.gz")));
        assert_eq!(label.is_err(), refused, "{label:?}");
    }
}

#[test]
fn a_channel_is_found_by_its_values_whatever_the_axes_and_the_datatype() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: Vec<u8> = (0..24).map(|v| v % 7).collect();
    let floats: Vec<f32> = numbers.iter().map(|&v| v.into()).collect();
    let other = Nifti::f32(&[2, 3, 4], &[0.5; 24]).write(&folder.path().join("o.nii"));
    let same = Nifti::f32(&[2, 3, 4], &floats).write(&folder.path().join("s.nii"));
    let volume = Volume::open(&[other, same]).unwrap();
    let labels = |numbers: &[u8], name: &str| {
        let path = Nifti::u8(&[2, 3, 4], numbers).write(&folder.path().join(name));
        LabelMap::open(&path).unwrap()
    };
    let find = |labels: LabelMap| volume.channel_with(labels.values().map(f32::from));
    assert_eq!(find(labels(&numbers, "a.nii")), Some(1));
    let mut changed = numbers.clone();
    changed[23] += 1;
    assert_eq!(find(labels(&changed, "b.nii")), None);
    let constant =
        Volume::open(&[Nifti::u8(&[2, 2, 2], &[1; 8]).write(&folder.path().join("c.nii"))]);
    assert_eq!(constant.unwrap().channel_with([1.0; 8].into_iter()), None);
    // Fewer and more values are others.
    assert_eq!(volume.channel_with(floats[..23].iter().copied()), None);
    assert_eq!(
        volume.channel_with(volume.channel_values(1).chain([1.0])),
        None
    );
}
