//! Phantoms: reproducible, labelled, and not separable by intensity alone.

use voxshield_data::{
    LabelMap, PhantomConfig, Split, StoredVolume, Volume, phantom, sha256_file,
    write_phantom_dataset,
};

fn mean_and_sd(values: impl Iterator<Item = f32> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().map(f64::from).sum::<f64>() / count;
    let variance = values.map(|v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

#[test]
fn same_seed_same_phantom_other_case_other_phantom() {
    let config = PhantomConfig::new([16, 18, 20], 3);
    let (a, b) = (phantom(&config, 0), phantom(&config, 0));
    assert_eq!((&a.image, &a.label), (&b.image, &b.label));
    assert_ne!(a.image, phantom(&config, 1).image);
    assert_ne!(
        a.image,
        phantom(&PhantomConfig { seed: 4, ..config }, 0).image
    );
}

#[test]
fn phantoms_have_the_parts_they_promise() {
    let config = PhantomConfig::new([32, 32, 32], 11);
    for case in 0..16 {
        let phantom = phantom(&config, case);
        let total = phantom.label.len() as f64;
        let of = |class: u8| {
            phantom
                .image
                .iter()
                .zip(&phantom.label)
                .filter(move |(_, label)| **label == class)
                .map(|(value, _)| *value)
        };
        for class in [1, 2] {
            let share = of(class).count() as f64 / total;
            assert!(
                (0.005..0.06).contains(&share),
                "case {case} class {class}: {share}"
            );
        }
        // 0 outside the body and nowhere inside.
        assert_eq!(phantom.image[[0, 0, 0]], 0.0);
        assert!(of(1).chain(of(2)).all(|value| value > 0.0));
        let outside = phantom.image.iter().filter(|v| **v == 0.0).count() as f64 / total;
        assert!((0.5..0.8).contains(&outside), "case {case}: {outside}");
        assert!(
            phantom
                .image
                .iter()
                .all(|v| v.fract() == 0.0 && (0.0..3000.0).contains(v))
        );
        // A brighter than the body, B darker and grainier.
        let (a, b) = (mean_and_sd(of(1)), mean_and_sd(of(2)));
        let (body, _) = mean_and_sd(of(0).filter(|v| *v > 0.0));
        assert!(
            a.0 > body + 60.0 && b.0 < body - 60.0,
            "case {case}: {a:?} {b:?} {body}"
        );
        assert!(b.1 > a.1, "case {case}: {a:?} {b:?}");
        // The unlabelled blobs: as bright as A, but not A.
        let lookalikes = of(0).filter(|v| (f64::from(*v) - a.0).abs() < 60.0).count();
        assert!(lookalikes > 20, "case {case}: {lookalikes}");
    }
}

#[test]
fn the_dataset_is_nnunet_and_reads_back_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let config = PhantomConfig::new([12, 14, 16], 5);
    let dataset = write_phantom_dataset(folder.path(), 3, &config).unwrap();
    assert_eq!(dataset.layout, "nnunet-v2");
    assert!(dataset.problems.is_empty());
    assert_eq!(dataset.labels[&2], "organ B");
    let ids: Vec<&str> = dataset.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["case_000", "case_001", "case_002"]);
    for (index, case) in dataset.cases.iter().enumerate() {
        assert_eq!(case.split, Split::Train);
        let volume = Volume::open(&dataset.absolute(&case.images)).unwrap();
        let labels = LabelMap::open(&dataset.root.join(case.label.as_ref().unwrap())).unwrap();
        assert_eq!(labels.check_matches(&volume).unwrap(), None);
        assert_eq!(volume.orientation().codes(), "LPS");
        assert_eq!(volume.spacing(), [1.5, 1.0, 1.0]);
        assert_eq!(volume.files()[0].datatype().name(), "int16");
        let expected = phantom(&config, index as u64);
        assert!(volume.array().iter().eq(&expected.image));
        assert!(
            labels
                .array()
                .iter()
                .copied()
                .eq(expected.label.iter().map(|v| u16::from(*v)))
        );
    }
    let path = folder.path().join("imagesTr/case_001_0000.nii.gz");
    let before = sha256_file(&path).unwrap();
    write_phantom_dataset(folder.path(), 3, &config).unwrap();
    assert_eq!(sha256_file(&path).unwrap(), before);
    let header = StoredVolume::read(&path).unwrap();
    assert_eq!(
        (header.header().qform_code, header.header().sform_code),
        (1, 1)
    );
}
