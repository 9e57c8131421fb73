//! Reading, changing voxels, writing: nothing else changes.

use ndarray::{Array3, Array4};
use voxshield_data::{
    Affine, DataError, HeaderError, StoredVolume, Volume, sha256_file, write_new,
};

use crate::support::{Nifti, PSR, golden, names};

#[test]
fn golden_files_come_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    for name in names(&golden("j_nifti")) {
        let source = golden("j_nifti").join(&name);
        let volume = StoredVolume::read(&source).unwrap();
        let plain = folder.path().join("copy.nii");
        volume.write_atomic(&plain).unwrap();
        if name.ends_with(".nii") {
            assert_eq!(
                std::fs::read(&plain).unwrap(),
                std::fs::read(&source).unwrap(),
                "{name}"
            );
        }
        let packed = folder.path().join("copy.nii.gz");
        volume.write_atomic(&packed).unwrap();
        let again = StoredVolume::read(&packed).unwrap();
        assert_eq!(again.header_bytes(), volume.header_bytes(), "{name}");
        assert_eq!(again.voxel_bytes(), volume.voxel_bytes(), "{name}");
        assert_eq!(again.trailing_bytes(), volume.trailing_bytes(), "{name}");
    }
    assert_eq!(names(folder.path()), ["copy.nii", "copy.nii.gz"]);
}

#[test]
fn new_voxels_keep_extension_and_trailing_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = Nifti::i16(&[2, 2, 2], &[1; 8]);
    file.extension = vec![
        1, 0, 0, 0, 16, 0, 0, 0, 6, 0, 0, 0, b'c', b'o', b'm', b'm', 0, 0, 0, 0,
    ];
    file.trailing = vec![9, 8, 7];
    let volume = StoredVolume::read(&file.write(&folder.path().join("a.nii"))).unwrap();
    let changed = volume.with_voxels(vec![2; 16]).unwrap();
    let out = folder.path().join("b.nii");
    changed.write_atomic(&out).unwrap();
    let mut expected = file.bytes();
    let voxels = expected.len() - 19..expected.len() - 3;
    expected[voxels].fill(2);
    assert_eq!(std::fs::read(&out).unwrap(), expected);
    let error = volume.with_voxels(vec![0; 15]).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::VoxelBytes {
                expected: 16,
                found: 15,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn compressed_bytes_are_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<i16> = (0..1000).collect();
    let source = Nifti::i16(&[10, 10, 10], &values).write(&folder.path().join("a.nii"));
    let volume = StoredVolume::read(&source).unwrap();
    let (a, b) = (
        folder.path().join("b.nii.gz"),
        folder.path().join("c.nii.gz"),
    );
    volume.write_atomic(&a).unwrap();
    volume.write_atomic(&b).unwrap();
    assert_eq!(sha256_file(&a).unwrap(), sha256_file(&b).unwrap());
    // No time in the gzip header.
    assert_eq!(
        std::fs::read(&a).unwrap()[..8],
        [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]
    );
}

#[test]
fn pairs_are_written_as_pairs() {
    let folder = tempfile::tempdir().unwrap();
    for two in [false, true] {
        let mut file = Nifti::i16(&[2, 2, 2], &[3; 8]);
        (file.pair, file.two, file.trailing) = (true, two, vec![5]);
        let source = file.write(&folder.path().join("in/a.hdr"));
        let volume = StoredVolume::read(&source).unwrap();
        assert!(volume.is_pair());
        for target in ["out/x.hdr", "out/y.img"] {
            volume.write_atomic(&folder.path().join(target)).unwrap();
        }
        let out = folder.path().join("out");
        assert_eq!(names(&out), ["x.hdr", "x.img", "y.hdr", "y.img"]);
        for name in ["x", "y"] {
            assert_eq!(
                std::fs::read(out.join(format!("{name}.hdr"))).unwrap(),
                file.header()
            );
            assert_eq!(
                std::fs::read(out.join(format!("{name}.img"))).unwrap(),
                file.image()
            );
        }
        let error = volume.write_atomic(&out.join("x.nii")).unwrap_err();
        assert!(matches!(error, DataError::TargetName { .. }), "{error}");
    }
    let single = Nifti::i16(&[2, 2, 2], &[3; 8]).write(&folder.path().join("s.nii"));
    let error = StoredVolume::read(&single)
        .unwrap()
        .write_atomic(&folder.path().join("s.img"));
    assert!(matches!(error, Err(DataError::TargetName { .. })));
}

#[test]
fn a_failed_write_leaves_no_temporary_and_keeps_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let source = Nifti::i16(&[2, 2, 2], &[3; 8]).write(&folder.path().join("s.nii"));
    let volume = StoredVolume::read(&source).unwrap();
    let taken = folder.path().join("taken.nii");
    std::fs::create_dir_all(taken.join("inside")).unwrap();
    let error = volume.write_atomic(&taken).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }), "{error}");
    assert_eq!(names(folder.path()), ["s.nii", "taken.nii"]);
}

#[test]
fn a_target_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let source = Nifti::i16(&[2, 2, 2], &[3; 8]).write(&folder.path().join("s.nii"));
    let volume = StoredVolume::read(&source).unwrap();
    let error = volume.write_atomic(&source.join("x.nii")).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }), "{error}");
    assert!(error.to_string().contains("s.nii"), "{error}");
}

#[test]
fn new_files_have_the_geometry_they_were_given() {
    let folder = tempfile::tempdir().unwrap();
    let (sin, cos) = 20_f64.to_radians().sin_cos();
    let oblique = Affine::new([
        [-1.25 * cos, 0.75 * sin, 0.0, 10.0],
        [1.25 * sin, 0.75 * cos, 0.0, -20.5],
        [0.0, 0.0, 2.5, 30.0],
        [0.0, 0.0, 0.0, 1.0],
    ]);
    let mut sheared = Affine::from_spacing([1.0, 2.0, 3.0]).rows();
    sheared[0][1] = 0.7;
    let values = Array3::from_shape_fn((3, 4, 5), |(i, j, k)| (100 * i + 10 * j + k) as i16);
    for (affine, qform) in [(oblique, 1), (Affine::new(sheared), 0)] {
        let path = folder.path().join("new.nii.gz");
        write_new(&path, values.view(), &affine).unwrap();
        let volume = StoredVolume::read(&path).unwrap();
        let header = volume.header();
        assert_eq!((header.qform_code, header.sform_code), (qform, 1));
        assert!(volume.affine().max_abs_difference(&affine) < 1e-5);
        for (found, expected) in header.pixdim[1..4].iter().zip(affine.column_norms()) {
            assert!((found - expected).abs() < 1e-6);
        }
        // i is fastest in the file.
        let expected: Vec<f64> = values.t().iter().map(|v| f64::from(*v)).collect();
        assert!(volume.values().eq(expected));
    }
    // The quaternion alone says the same.
    let path = folder.path().join("new.nii");
    write_new(&path, values.view(), &oblique).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[254] = 0;
    std::fs::write(&path, bytes).unwrap();
    let volume = StoredVolume::read(&path).unwrap();
    assert!(volume.affine().max_abs_difference(&oblique) < 1e-5);
    let theirs = nifti::NiftiHeader::from_file(&path).unwrap();
    assert_eq!((theirs.qform_code, theirs.sform_code), (1, 0));
}

#[test]
fn new_files_of_every_type_and_four_axes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.nii");
    let affine = Affine::from_spacing([1.0; 3]);
    let values = Array4::from_shape_fn((2, 3, 4, 2), |(i, j, k, c)| i + 2 * (j + 3 * (k + 4 * c)));
    macro_rules! check {
        ($($kind:ty),+) => {$(
            write_new(&path, values.mapv(|v| v as $kind).view(), &affine).unwrap();
            let volume = StoredVolume::read(&path).unwrap();
            assert_eq!(volume.dims(), [2, 3, 4, 2]);
            assert!(volume.values().eq((0..48).map(f64::from)), stringify!($kind));
        )+};
    }
    check!(u8, i16, u16, i32, f32, f64);
    assert_eq!(Volume::open(&[path]).unwrap().channels(), 2);
}

#[test]
fn what_cannot_be_a_new_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let affine = Affine::from_spacing([1.0; 3]);
    let values = Array3::<u8>::zeros((2, 2, 2));
    let error = write_new(&folder.path().join("a.hdr"), values.view(), &affine).unwrap_err();
    assert!(matches!(error, DataError::TargetName { .. }), "{error}");
    let path = folder.path().join("a.nii");
    let flat = Affine::from_spacing([1.0, 0.0, 1.0]);
    let error = write_new(&path, values.view(), &flat).unwrap_err();
    assert!(
        matches!(error, DataError::DegenerateAffine { .. }),
        "{error}"
    );
    for shape in [(0, 2, 2), (32_768, 1, 1)] {
        let values = Array3::<u8>::zeros(shape);
        let error = write_new(&path, values.view(), &affine).unwrap_err();
        let problem = match error {
            DataError::Header { problem, .. } => problem,
            other => panic!("{other}"),
        };
        assert!(matches!(problem, HeaderError::Dimensions { .. }));
    }
    assert!(names(folder.path()).is_empty());
}

#[test]
fn a_volume_written_and_opened_is_the_same_volume() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = (0..24).map(|v| v as f32 * 0.37 - 3.0).collect();
    let mut file = Nifti::f32(&[2, 3, 4], &values);
    file.srow = PSR;
    let volume = Volume::open(&[file.write(&folder.path().join("a.nii"))]).unwrap();
    let out = folder.path().join("b.nii.gz");
    volume.files()[0].write_atomic(&out).unwrap();
    assert_eq!(Volume::open(&[out]).unwrap().array(), volume.array());
}
