//! Parity with nibabel and SimpleITK on `tests/golden/j_nifti` (see the README there).

use std::collections::BTreeMap;

use serde_json::Value;
use voxshield_data::{Affine, Endian, LabelMap, Orientation, StoredVolume, Version, Volume};

use crate::support::golden;

fn expected() -> BTreeMap<String, Value> {
    let bytes = std::fs::read(golden("j_nifti_expected.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect()
}

fn affine(value: &Value) -> Affine {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Affine::new(std::array::from_fn(|row| {
        std::array::from_fn(|column| rows[row][column])
    }))
}

/// Files are Fortran-ordered; the expectation lists values in C order of (i, j, k).
fn c_order(volume: &StoredVolume) -> Vec<f64> {
    let values: Vec<f64> = volume.values().collect();
    let [ni, nj, nk, nc] = volume.dims();
    assert_eq!(nc, 1);
    let mut ordered = vec![];
    for i in 0..ni {
        for j in 0..nj {
            for k in 0..nk {
                ordered.push(values[i + ni * (j + nj * k)]);
            }
        }
    }
    ordered
}

fn assert_values(name: &str, found: &[f64], expected: &[f64], exact: bool) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, expected) in found.iter().zip(expected) {
        // The expectation is printed as f32 with 9 digits.
        let tolerance = if exact {
            0.0
        } else {
            1e-6 * expected.abs() + 1e-6
        };
        assert!(
            (found - expected).abs() <= tolerance,
            "{name}: {found} {expected}"
        );
    }
}

#[test]
fn all_files_agree_with_nibabel() {
    let expected = expected();
    assert_eq!(expected.len(), 22);
    for (name, facts) in &expected {
        let path = golden("j_nifti").join(name);
        let stored = StoredVolume::read(&path).unwrap();
        let header = stored.header();
        let version = match facts["nifti"].as_i64().unwrap() {
            1 => Version::Nifti1,
            _ => Version::Nifti2,
        };
        assert_eq!(header.version, version, "{name}");
        let big = facts["endian"] == ">";
        assert_eq!(header.endian == Endian::Big, big, "{name}");
        let datatype = match facts["datatype"].as_str().unwrap() {
            ">i2" => "int16",
            other => other,
        };
        assert_eq!(stored.datatype().name(), datatype, "{name}");
        assert_eq!(
            header.vox_offset as f64,
            facts["vox_offset"].as_f64().unwrap(),
            "{name}"
        );
        assert_eq!(
            header.qform_code as i64,
            facts["qform_code"].as_i64().unwrap(),
            "{name}"
        );
        assert_eq!(
            header.sform_code as i64,
            facts["sform_code"].as_i64().unwrap(),
            "{name}"
        );
        if let Some(slope) = facts["scl_slope_raw"].as_f64() {
            assert_eq!(header.scl_slope, slope, "{name}");
        } else {
            assert!(header.scl_slope.is_nan(), "{name}");
        }
        let shape: Vec<usize> = numbers(&facts["shape"])
            .iter()
            .map(|v| *v as usize)
            .collect();
        assert_eq!(&stored.dims()[..3], &shape[..3], "{name}");
        let difference = stored
            .affine()
            .max_abs_difference(&affine(&facts["affine"]));
        assert!(difference < 1e-5, "{name}: affine differs by {difference}");
        let orientation = Orientation::from_affine(&stored.affine()).unwrap();
        assert_eq!(
            orientation.codes(),
            facts["axcodes"].as_str().unwrap(),
            "{name}"
        );
        let values = numbers(&facts["data_f32_c_order"]);
        let scaled = stored.scaling() != voxshield_data::Scaling::IDENTITY;
        let exact = stored.datatype().is_integer() && !scaled;
        assert_values(name, &c_order(&stored), &values, exact);
        let sum: f64 = stored.values().sum();
        assert!(
            (sum - facts["sum"].as_f64().unwrap()).abs() <= 1e-4 * sum.abs(),
            "{name}"
        );
        check_canonical(name, facts, exact);
    }
}

fn check_canonical(name: &str, facts: &Value, exact: bool) {
    let volume = Volume::open(&[golden("j_nifti").join(name)]).unwrap();
    let shape: Vec<usize> = numbers(&facts["canonical_shape"])
        .iter()
        .map(|v| *v as usize)
        .collect();
    let [depth, height, width] = volume.shape();
    assert_eq!([height, width, depth], shape[..3], "{name}");
    let canonical = affine(&facts["canonical_affine"]);
    assert!(
        volume.affine().max_abs_difference(&canonical) < 1e-5,
        "{name}"
    );
    let norms = canonical.column_norms();
    let [d, h, w] = volume.spacing();
    for (found, expected) in [h, w, d].iter().zip(norms) {
        assert!((found - expected).abs() < 1e-5, "{name}");
    }
    // The expectation is in C order of (x, y, z); ours is [channel, z, x, y].
    let mut values = vec![];
    for x in 0..height {
        for y in 0..width {
            for z in 0..depth {
                values.push(f64::from(volume.array()[[0, z, x, y]]));
            }
        }
    }
    let expected = numbers(&facts["canonical_data_f32_c_order"]);
    assert_values(name, &values, &expected, exact);
}

#[test]
fn labels_are_read_as_labels() {
    for name in [
        "n1_u8_label_lps.nii.gz",
        "n2_u8_label_lps.nii",
        "sitk_u8_label.nii.gz",
        "n1_u8_extension.nii",
    ] {
        let path = golden("j_nifti").join(name);
        let labels = LabelMap::open(&path).unwrap();
        assert_eq!(
            labels.classes().into_iter().collect::<Vec<_>>(),
            [0, 1, 2, 3, 4],
            "{name}"
        );
        let volume = Volume::open(&[path]).unwrap();
        let same = labels
            .array()
            .iter()
            .zip(&volume.array())
            .all(|(label, value)| f32::from(*label) == *value);
        assert!(same, "{name}");
        assert_eq!(labels.check_matches(&volume).unwrap(), None);
    }
}

#[test]
fn nifti_1_headers_agree_with_the_nifti_crate() {
    let mut compared = 0;
    for (name, facts) in expected() {
        if facts["nifti"] != 1 {
            continue;
        }
        let path = golden("j_nifti").join(&name);
        let ours = StoredVolume::read(&path).unwrap();
        let theirs = nifti::NiftiHeader::from_file(&path).unwrap();
        let ours = ours.header();
        assert_eq!(ours.dim, theirs.dim.map(i64::from), "{name}");
        assert_eq!(ours.pixdim, theirs.pixdim.map(f64::from), "{name}");
        assert_eq!(
            ours.quatern,
            [theirs.quatern_b, theirs.quatern_c, theirs.quatern_d].map(f64::from)
        );
        assert_eq!(
            ours.qoffset,
            [theirs.quatern_x, theirs.quatern_y, theirs.quatern_z].map(f64::from)
        );
        assert_eq!(ours.srow[0], theirs.srow_x.map(f64::from), "{name}");
        assert_eq!(ours.srow[1], theirs.srow_y.map(f64::from), "{name}");
        assert_eq!(ours.srow[2], theirs.srow_z.map(f64::from), "{name}");
        assert_eq!(ours.datatype.code(), i32::from(theirs.datatype), "{name}");
        assert_eq!(ours.qform_code, i32::from(theirs.qform_code), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 19);
}

/// Where both forms are there, the sform wins; with its code set to 0 the qform must be what nibabel says it is.
#[test]
fn hidden_qforms_agree_with_nibabel() {
    let folder = tempfile::tempdir().unwrap();
    let mut compared = 0;
    for (name, facts) in expected() {
        if facts["qform_code"] == 0 {
            continue;
        }
        let copy = folder.path().join("copy.nii");
        let path = golden("j_nifti").join(&name);
        StoredVolume::read(&path)
            .unwrap()
            .write_atomic(&copy)
            .unwrap();
        let mut bytes = std::fs::read(&copy).unwrap();
        let code = if facts["nifti"] == 1 {
            254..256
        } else {
            348..352
        };
        bytes[code].fill(0);
        std::fs::write(&copy, bytes).unwrap();
        let found = StoredVolume::read(&copy).unwrap().affine();
        let difference = found.max_abs_difference(&affine(&facts["qform"]));
        assert!(difference < 1e-5, "{name}: {difference}");
        compared += 1;
    }
    assert_eq!(compared, 7);
}
