//! Real volumes, from the folder that `VOXSHIELD_DATA` names; skipped, with a note, where it is unset.

use std::path::{Path, PathBuf};

use voxshield_data::{
    DataError, LabelMap, Modality, Normalisation, StoredVolume, Volume, compare, discover,
    is_nifti_name,
};

use crate::support::{names, real_data};

fn all_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for name in names(folder) {
        let path = folder.join(name);
        if path.is_dir() {
            all_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn all_48_orientations_are_one_volume() {
    let Some(data) = real_data("all_48_orientations_are_one_volume") else {
        return;
    };
    let folder = data.join("nifti_orientations/images");
    let files = names(&folder);
    assert_eq!(files.len(), 48);
    let reference = Volume::open(&[folder.join("RAS.nii.gz")]).unwrap();
    for name in files {
        let volume = Volume::open(&[folder.join(&name)]).unwrap();
        assert_eq!(volume.orientation().codes(), name[..3], "{name}");
        assert_eq!(volume.array(), reference.array(), "{name}");
        let distance = volume
            .affine()
            .max_corner_distance(&reference.affine(), [79, 67, 64]);
        assert!(distance < 0.01, "{name}: {distance}");
    }
}

#[test]
fn every_format_reads_and_writes_back() {
    let Some(data) = real_data("every_format_reads_and_writes_back") else {
        return;
    };
    let mut files = vec![];
    all_files(&data.join("nifti_formats/images"), &mut files);
    let folder = tempfile::tempdir().unwrap();
    let mut read = 0;
    for path in files {
        let volume = match StoredVolume::read(&path) {
            // `minimal2.hdr` is there without its `.img`.
            Err(DataError::MissingPair { missing, .. }) => {
                assert!(missing.ends_with("minimal2.img"));
                continue;
            }
            other => other.unwrap(),
        };
        read += 1;
        assert!(volume.values().count() > 0, "{}", path.display());
        let out = folder.path().join("copy.nii.gz");
        volume.write_atomic(&out).unwrap();
        let again = StoredVolume::read(&out).unwrap();
        assert_eq!(
            again.header_bytes(),
            volume.header_bytes(),
            "{}",
            path.display()
        );
        assert_eq!(
            again.voxel_bytes(),
            volume.voxel_bytes(),
            "{}",
            path.display()
        );
        let dims = volume.dims();
        match Volume::open(std::slice::from_ref(&path)) {
            Ok(opened) => assert_eq!(opened.channels(), dims[3]),
            Err(DataError::TwoDimensional { .. }) => assert_eq!(dims[2], 1),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(read, 19);
}

#[test]
fn malformed_files_are_errors() {
    let Some(data) = real_data("malformed_files_are_errors") else {
        return;
    };
    let mut files = vec![];
    all_files(&data.join("nifti_formats/malformed"), &mut files);
    assert_eq!(files.len(), 5);
    for path in files {
        let error = StoredVolume::read(&path).unwrap_err();
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(error.to_string().contains(&*name), "{error}");
    }
}

#[test]
fn datasets_are_discovered_and_their_labels_fit() {
    let Some(data) = real_data("datasets_are_discovered_and_their_labels_fit") else {
        return;
    };
    for (name, cases) in [
        ("hippocampus", 203),
        ("totalsegmentator", 4),
        ("mni_icbm152", 1),
    ] {
        let dataset = discover(&data.join(name)).unwrap();
        assert_eq!(dataset.layout, "plain", "{name}");
        assert_eq!(dataset.cases.len(), cases, "{name}");
        assert!(
            dataset.problems.is_empty(),
            "{name}: {:?}",
            dataset.problems
        );
        for case in &dataset.cases {
            let volume = Volume::open(&dataset.absolute(&case.images)).unwrap();
            let label = dataset.root.join(case.label.as_ref().unwrap());
            let labels = LabelMap::open(&label).unwrap();
            labels.check_matches(&volume).unwrap();
            assert!(labels.foreground_count() > 0, "{}", case.id);
            let expected = if case.id.starts_with("ct") {
                Modality::Ct
            } else {
                Modality::Mri
            };
            assert_eq!(Modality::guess(&volume), expected, "{}", case.id);
        }
    }
    // Images alone are a dataset without labels.
    let images = discover(&data.join("nifti_orientations")).unwrap();
    assert_eq!((images.cases.len(), images.unlabelled.len()), (0, 48));
    let images = images.without_need_of_labels();
    assert_eq!((images.cases.len(), images.problems.len()), (48, 0));
}

#[test]
fn protected_real_volumes_keep_header_and_budget() {
    let Some(data) = real_data("protected_real_volumes_keep_header_and_budget") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let epsilon = 8.0 / 255.0;
    for name in [
        "hippocampus/images/hippocampus_001.nii.gz",
        "hippocampus/images/hippocampus_003.nii.gz",
        "totalsegmentator/images/ct_thorax_1p5mm.nii.gz",
        "totalsegmentator/images/ct_torso_3mm.nii.gz",
        "nifti_orientations/images/SPL.nii.gz",
        "nifti_formats/images/example_nifti2.nii.gz",
        "nifti_formats/images/anatomical.nii",
    ] {
        let path = data.join(name);
        assert!(is_nifti_name(name));
        let volume = Volume::open(&[path]).unwrap();
        let ranges: Vec<_> = (0..volume.channels())
            .map(|channel| match Modality::guess(&volume) {
                Modality::Ct => Normalisation::Window {
                    lo: -1000.0,
                    hi: 1000.0,
                }
                .range(&volume, channel),
                Modality::Mri => Normalisation::Mri.range(&volume, channel),
            })
            .collect::<Result<_, _>>()
            .unwrap();
        let mut sign = 1.0;
        let delta = volume.array().map(|_| {
            sign = -sign;
            sign * epsilon as f32
        });
        let perturbed = volume.perturb(delta.view(), &ranges, epsilon).unwrap();
        assert!(perturbed.changed > volume.array().len() / 2, "{name}");
        let out = folder.path().join("out.nii.gz");
        perturbed.files[0].write_atomic(&out).unwrap();
        let protected = Volume::open(&[out]).unwrap();
        let found = compare(&volume, &protected, &ranges, epsilon, None).unwrap();
        assert!(found.is_kept(), "{name}: {found:?}");
        assert_eq!(found.changed as usize, perturbed.changed, "{name}");
        assert!(found.achieved > 0.0 && found.achieved <= epsilon, "{name}");
    }
}
