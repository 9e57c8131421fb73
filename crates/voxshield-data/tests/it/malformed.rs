//! Files that lie, stop short, or are something else: a typed error that names the path, never a panic, never memory for
//! nothing.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use voxshield_data::{DataError, HeaderError, StoredVolume, Volume};

use crate::support::{Nifti, gzip};

fn small() -> Nifti {
    Nifti::i16(&[3, 2, 2], &[5; 12])
}

fn read(bytes: &[u8], name: &str) -> Result<StoredVolume, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    let result = StoredVolume::read(&path);
    if let Err(error) = &result {
        assert!(error.to_string().contains(name), "no path in: {error}");
    }
    result
}

fn header_error(file: &Nifti) -> HeaderError {
    match read(&file.bytes(), "bad.nii").unwrap_err() {
        DataError::Header { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn the_hand_made_file_is_good() {
    for two in [false, true] {
        for big in [false, true] {
            let mut file = small();
            (file.two, file.big) = (two, big);
            let volume = read(&file.bytes(), "good.nii").unwrap();
            assert!(volume.values().eq([5.0; 12]));
        }
    }
}

#[test]
fn header_size_and_magic() {
    let mut bytes = small().bytes();
    bytes[0] = 7;
    let error = read(&bytes, "a.nii").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Header {
                problem: HeaderError::Size { .. },
                ..
            }
        ),
        "{error}"
    );
    for two in [false, true] {
        let mut file = small();
        file.two = two;
        let mut bytes = file.bytes();
        bytes[if two { 8 } else { 345 }] = b'x';
        let error = read(&bytes, "a.nii").unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Header {
                    problem: HeaderError::Magic { .. },
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[test]
fn dimensions_out_of_bounds() {
    for (axis, size) in [(0, 0), (0, 8), (0, -1), (1, 0), (2, -3), (3, 0)] {
        let mut file = small();
        file.dim[axis] = size;
        assert!(
            matches!(header_error(&file), HeaderError::Dimensions { .. }),
            "{axis} {size}"
        );
    }
    let mut file = small();
    (file.dim[0], file.dim[5]) = (5, 3);
    assert!(matches!(
        header_error(&file),
        HeaderError::Dimensions { .. }
    ));
    // Sizes beyond dim[0] do not count.
    let mut file = small();
    file.dim[4..].fill(0);
    read(&file.bytes(), "a.nii").unwrap();
}

#[test]
fn datatype_bitpix_offset_and_intercept() {
    let mut file = small();
    file.code = 3;
    assert_eq!(
        header_error(&file),
        HeaderError::UnknownDatatype { code: 3 }
    );
    let mut file = small();
    file.bitpix = 32;
    assert!(matches!(
        header_error(&file),
        HeaderError::Bitpix {
            expected: 16,
            found: 32,
            ..
        }
    ));
    for two in [false, true] {
        for offset in [0.0, 100.0, 348.0, -352.0] {
            let mut file = small();
            (file.two, file.vox_offset) = (two, Some(offset));
            assert!(
                matches!(header_error(&file), HeaderError::VoxelOffset { .. }),
                "{offset}"
            );
        }
    }
    for offset in [352.5, f64::NAN, f64::INFINITY, 1e30] {
        let mut file = small();
        file.vox_offset = Some(offset);
        assert!(
            matches!(header_error(&file), HeaderError::VoxelOffset { .. }),
            "{offset}"
        );
    }
    let file = small().scaled(2.0, f64::NAN);
    assert!(matches!(header_error(&file), HeaderError::Intercept { .. }));
    // Without a slope in force, the intercept does not matter.
    let volume = read(&small().scaled(f64::NAN, f64::NAN).bytes(), "a.nii").unwrap();
    assert!(volume.values().eq([5.0; 12]));
}

#[test]
fn an_offset_beyond_the_file() {
    let mut file = small();
    file.vox_offset = Some(100_000.0);
    let error = read(&file.bytes(), "a.nii").unwrap_err();
    assert!(matches!(error, DataError::Truncated { .. }), "{error}");
}

#[test]
fn every_truncation_is_an_error() {
    for two in [false, true] {
        let mut file = small();
        file.two = two;
        let bytes = file.bytes();
        let packed = gzip(&bytes);
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length], "short.nii").is_err(), "{length}");
        }
        for length in 0..packed.len() {
            assert!(read(&packed[..length], "short.nii.gz").is_err(), "{length}");
        }
    }
    let error = read(&small().bytes()[..360], "a.nii").unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Truncated {
                expected: 376,
                found: 360,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_flipped_bit_in_gzip_is_noticed() {
    let bytes: Vec<i16> = (0..4000).map(|v| (v * 7919 % 1000) as i16).collect();
    let packed = gzip(&Nifti::i16(&[20, 20, 10], &bytes).bytes());
    let mut noticed = 0;
    for at in (12..packed.len()).step_by(97) {
        let mut damaged = packed.clone();
        damaged[at] ^= 0x10;
        noticed += usize::from(read(&damaged, "a.nii.gz").is_err());
    }
    assert_eq!(noticed, (12..packed.len()).step_by(97).count());
}

#[test]
fn declared_sizes_are_checked_before_memory_is_taken() {
    let mut file = small();
    file.dim = [4, 30_000, 30_000, 30, 1, 1, 1, 1];
    let error = read(&file.bytes(), "a.nii").unwrap_err();
    assert!(matches!(error, DataError::Truncated { .. }), "{error}");
    // In gzip, more than deflate can expand to.
    let error = read(&gzip(&file.bytes()), "a.nii.gz").unwrap_err();
    assert!(matches!(error, DataError::ImpossibleSize { .. }), "{error}");
    // Over the cap, or over 64 bits.
    for size in [1 << 20, 1 << 62] {
        let mut file = small();
        (file.two, file.dim) = (true, [3, size, size, size, 1, 1, 1, 1]);
        let error = read(&file.bytes(), "a.nii").unwrap_err();
        assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    }
}

#[test]
fn a_gzip_bomb_stops_early() {
    // 64 MiB of zeros after a tiny volume, in 64 KiB of gzip.
    let mut bytes = small().bytes();
    bytes.resize(64 << 20, 0);
    let error = read(&gzip(&bytes), "bomb.nii.gz").unwrap_err();
    assert!(matches!(error, DataError::TooLarge { .. }), "{error}");
    // A little after the voxels is kept.
    let mut file = small();
    file.trailing = vec![7; 1000];
    assert_eq!(
        read(&file.bytes(), "a.nii").unwrap().trailing_bytes(),
        [7; 1000]
    );
}

#[test]
fn compression_goes_by_content_not_by_name() {
    for bytes in [small().bytes(), gzip(&small().bytes())] {
        for name in ["a.nii", "a.nii.gz"] {
            assert_eq!(read(&bytes, name).unwrap().voxel_count(), 12);
        }
    }
}

#[test]
fn several_gzip_members_are_one_file() {
    let bytes = small().bytes();
    let mut packed = gzip(&bytes[..200]);
    packed.extend(gzip(&bytes[200..370]));
    packed.extend(gzip(&bytes[370..]));
    let volume = read(&packed, "a.nii.gz").unwrap();
    assert_eq!(volume.header_bytes(), &bytes[..352]);
    assert!(volume.values().eq([5.0; 12]));
}

#[test]
fn bytes_behind_the_gzip_data_are_called_so() {
    // One byte is less than any header of gzip, twenty are more.
    for appended in [&b"\x01"[..], &[7; 20], b"\0\0\x1f\x8b"] {
        let packed = [&gzip(&small().bytes())[..], appended].concat();
        let error = read(&packed, "a.nii.gz").unwrap_err();
        assert!(matches!(error, DataError::Gzip { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains("after the gzip data") || error.contains("end of the gzip data"),
            "{error}"
        );
    }
}

#[test]
fn pairs_need_both_halves_and_a_pair_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = small();
    file.pair = true;
    let hdr = file.write(&folder.path().join("v.hdr"));
    let img = folder.path().join("v.img");
    for path in [&hdr, &img] {
        assert!(StoredVolume::read(path).unwrap().values().eq([5.0; 12]));
    }
    std::fs::write(&img, &file.image()[..10]).unwrap();
    let error = StoredVolume::read(&hdr).unwrap_err();
    assert!(matches!(error, DataError::Truncated { .. }), "{error}");
    std::fs::remove_file(&img).unwrap();
    let error = StoredVolume::read(&hdr).unwrap_err();
    assert!(matches!(error, DataError::MissingPair { .. }), "{error}");
    assert!(error.to_string().contains("v.img"), "{error}");
    let error = read(&file.header(), "v.nii").unwrap_err();
    assert!(error.to_string().contains("pair"), "{error}");
}

#[test]
fn folders_and_missing_files_are_io_errors() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_path_buf(), PathBuf::from("no/such.nii")] {
        let error = StoredVolume::read(&path).unwrap_err();
        assert!(matches!(error, DataError::Io { .. }), "{error}");
    }
}

/// Reads whatever the bytes are, and opens it: the result does not matter, panics do.
fn survive(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).unwrap();
    let _ = StoredVolume::read(path).map(|volume| {
        let _ = volume.values().count();
        let _ = volume.affine();
    });
    let _ = Volume::open(&[path.to_path_buf()]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_cause_a_panic(
        edits in prop::collection::vec((0..560_usize, any::<u8>()), 0..12),
        (two, big, packed) in any::<(bool, bool, bool)>(),
        length in 0..700_usize,
    ) {
        let mut file = small();
        (file.two, file.big) = (two, big);
        let mut bytes = file.bytes();
        for (at, value) in edits {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(length);
        let folder = tempfile::tempdir().unwrap();
        let bytes = if packed { gzip(&bytes) } else { bytes };
        survive(&bytes, &folder.path().join("x.nii"));
    }

    #[test]
    fn no_noise_causes_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), gz in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut bytes = bytes;
        if gz && bytes.len() > 2 {
            (bytes[0], bytes[1]) = (0x1f, 0x8b);
        }
        survive(&bytes, &folder.path().join("x.nii.gz"));
    }
}

/// Tapes and some file systems fill up the last block.
#[test]
fn zeros_behind_the_gzip_data_are_skipped() {
    let bytes = small().bytes();
    let expected = read(&bytes, "a.nii").unwrap();
    for zeros in [1, 512, 200_000] {
        let packed = [gzip(&bytes), vec![0; zeros]].concat();
        let found = read(&packed, "a.nii.gz").unwrap();
        assert_eq!(found.voxel_bytes(), expected.voxel_bytes());
        assert!(found.trailing_bytes().is_empty());
    }
}
