//! The bound of every voxel, on written files.

use std::fs;

use voxshield::{
    data::{
        DataError, LabelMap, MANIFEST_NAME, Manifest, NewVoxels, OtherRecord, StoredVolume, Volume,
        sha256_file, write_new,
    },
    perturb::{Peak, SoftRoi, Support},
    pipeline::{PipelineError, protect, verify},
};

use crate::support::{phantoms, random};

/// Random noise of full strength, so that the margin's budget is what limits it.
#[test]
fn a_soft_support_bounds_every_voxel_by_its_share_of_epsilon() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let soft = SoftRoi {
        kernel: 3,
        iterations: 1,
        sigma: 1.0,
    };
    let mut options = random(0.1);
    options.support = Support::SoftRoi(soft);
    let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
    assert_eq!(manifest.support, "soft-roi");
    let case = &manifest.cases[0];
    let [before, after] =
        [&clean, &out].map(|root| Volume::open(&[root.join(&case.files[0].path)]).unwrap());
    let labels = LabelMap::open(&clean.join(&case.labels[0].path)).unwrap();
    let flat: Vec<u16> = labels.array().iter().copied().collect();
    let mask = soft.masks(&flat, before.shape(), Peak::Case).unwrap();
    let width = case.ranges[0].hi - case.ranges[0].lo;
    let (mut faded, mut outside) = (0, 0);
    for (((&share, &label), &v), &w) in mask
        .iter()
        .zip(&flat)
        .zip(&before.array())
        .zip(&after.array())
    {
        let change = f64::from(w - v).abs() / width;
        assert!(change <= 0.1 * f64::from(share) + 1e-7, "{change} {share}");
        faded += u64::from(change > 0.0 && label == 0 && share < 0.5);
        outside += u64::from(share == 0.0);
    }
    assert!(faded > 0 && outside > 0, "{faded} {outside}");
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}

#[test]
fn epsilon_below_one_stored_step_is_refused_with_the_smallest_that_works() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    fs::create_dir_all(clean.join("images")).unwrap();
    fs::create_dir_all(clean.join("labels")).unwrap();
    let affine = voxshield::data::Affine::from_spacing([1.0; 3]);
    let image = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, j, k)| {
        20 + ((i + 2 * j + 3 * k) % 9) as u8
    });
    let label = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, _, _)| u8::from(i > 5));
    write_new(
        &clean.join("images/a.nii.gz"),
        NewVoxels::from(image.view()),
        &affine,
    )
    .unwrap();
    write_new(
        &clean.join("labels/a.nii.gz"),
        NewVoxels::from(label.view()),
        &affine,
    )
    .unwrap();
    let out = folder.path().join("out");
    let error = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap_err();
    let PipelineError::NoUsableCase { first, .. } = &error else {
        panic!("{error}")
    };
    assert!(first.contains("at least"), "{first}");
    assert!(!out.exists());
    let stored = voxshield::data::Volume::open(&[clean.join("images/a.nii.gz")]).unwrap();
    let range = voxshield::data::Normalisation::Mri
        .range(&stored, 0)
        .unwrap();
    let Err(DataError::EpsilonBelowOneStep { smallest, .. }) =
        stored.epsilon_stored(&[range], 4.0 / 255.0)
    else {
        panic!("the step is larger than epsilon")
    };
    let manifest = protect(&clean, &out, &random(smallest), &mut |_| {}).unwrap();
    assert_eq!(manifest.cases[0].epsilon_stored, [Some(1)]);
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());

    // A label that may use half of it has none, and the epsilon that is named gives it one.
    let weighted = |epsilon: f64, out: &str| {
        let mut options = random(epsilon);
        options.label_weights = "1=0.5".parse().unwrap();
        protect(&clean, &folder.path().join(out), &options, &mut |_| {})
    };
    let error = weighted(smallest, "none").unwrap_err().to_string();
    let enough = (2e6 * smallest).ceil() / 1e6;
    assert!(error.contains(&format!("at least {enough:.6}")), "{error}");
    assert!(error.contains("0.5 of epsilon"), "{error}");
    weighted(enough, "weighted").unwrap();
}

/// Floats have no step, but a change that is lost in the rounding is none.
#[test]
fn a_case_in_which_nothing_changes_is_not_published_as_protected() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    fs::create_dir_all(clean.join("images")).unwrap();
    fs::create_dir_all(clean.join("labels")).unwrap();
    let affine = voxshield::data::Affine::from_spacing([1.0; 3]);
    let image = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, j, k)| {
        1000.25 + ((i + 2 * j + 3 * k) % 9) as f32
    });
    let label = ndarray::Array3::from_shape_fn((10, 10, 10), |(i, _, _)| u8::from(i > 5));
    let (image, label) = (NewVoxels::from(image.view()), NewVoxels::from(label.view()));
    write_new(&clean.join("images/a.nii.gz"), image, &affine).unwrap();
    write_new(&clean.join("labels/a.nii.gz"), label, &affine).unwrap();
    let manifest = protect(&clean, &out, &random(1e-9), &mut |_| {}).unwrap();
    assert!(manifest.cases.is_empty());
    let reason = &manifest.failed[0].reason;
    assert!(
        reason.contains("no voxel of the support changed"),
        "{reason}"
    );
    assert!(!out.join("images/a.nii.gz").exists());
}

/// A manifest may be edited until everything that it says is so.
#[test]
fn an_original_in_the_place_of_a_protected_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2, 5);
    let mut manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    let case = &mut manifest.cases[0];
    let file = &mut case.files[0];
    fs::copy(clean.join(&file.path), out.join(&file.path)).unwrap();
    file.sha256_after = file.sha256_before.clone();
    (case.achieved, case.changed_voxels) = (0.0, 0);
    manifest.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    let [problem] = &report.cases[0].problems[..] else {
        panic!("{report:?}")
    };
    assert!(problem.contains("this is the original"), "{problem}");
    assert!(report.problems.is_empty() && report.cases[1].problems.is_empty());
    // With all cases gone from the manifest there is nothing to publish.
    manifest.cases.clear();
    manifest.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    let problems = &report.problems;
    assert!(
        problems.iter().any(|p| p.contains("no protected case")),
        "{report:?}"
    );
}

/// Files beside the cases are those of the dataset, and the manifest lists them as they are.
#[test]
fn files_beside_the_cases_are_listed_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    let others = manifest.others.as_ref().unwrap();
    let hash = sha256_file(&clean.join("dataset.json")).unwrap();
    assert_eq!(others.len(), 1);
    assert_eq!(
        (others[0].path.as_str(), &others[0].sha256),
        ("dataset.json", &hash)
    );
    let problems = |manifest: &Manifest| {
        manifest.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
        verify(&clean, &out, &mut |_| {}).unwrap().problems
    };
    // One that was not in the dataset, listed as it is.
    let mut forged = manifest.clone();
    fs::write(out.join("more.txt"), "x").unwrap();
    forged.others.as_mut().unwrap().push(OtherRecord {
        path: "more.txt".into(),
        sha256: sha256_file(&out.join("more.txt")).unwrap(),
    });
    let found = problems(&forged);
    assert_eq!(found, ["more.txt: the clean dataset has no such file"]);
    fs::remove_file(out.join("more.txt")).unwrap();
    forged.others = Some(vec![]);
    let found = problems(&forged);
    assert_eq!(
        found,
        ["dataset.json: a file that the manifest does not list"]
    );
    // Manifests of before they were listed: it is the dataset's, or not.
    forged.others = None;
    assert!(problems(&forged).is_empty());
    fs::write(out.join("dataset.json"), "{}").unwrap();
    let found = problems(&forged);
    assert_eq!(found, ["dataset.json: differs from the clean dataset's"]);
}

#[test]
fn verify_finds_one_voxel_beyond_the_budget_a_changed_label_and_an_extra_file() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 2, 5);
    let manifest = protect(&clean, &out, &random(4.0 / 255.0), &mut |_| {}).unwrap();
    let target = out.join(&manifest.cases[0].files[0].path);
    let original = fs::read(&target).unwrap();

    let stored = StoredVolume::read(&target).unwrap();
    let mut voxels = stored.voxel_bytes().to_vec();
    let middle = voxels.len() / 4 * 2;
    voxels[middle + 1] ^= 0x10;
    stored
        .with_voxels(voxels)
        .unwrap()
        .write_atomic(&target)
        .unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(!report.is_kept());
    assert!(
        report.cases[0]
            .problems
            .iter()
            .any(|p| p.contains("beyond epsilon")),
        "{report:?}"
    );
    assert!(report.cases[1].problems.is_empty());
    fs::write(&target, original).unwrap();
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());

    fs::copy(&target, out.join("imagesTr/stowaway_0000.nii.gz")).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.problems.iter().any(|p| p.contains("stowaway")),
        "{report:?}"
    );
    fs::remove_file(out.join("imagesTr/stowaway_0000.nii.gz")).unwrap();

    let labels: Vec<_> = manifest
        .cases
        .iter()
        .map(|c| out.join(&c.labels[0].path))
        .collect();
    fs::copy(&labels[1], &labels[0]).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.problems.iter().any(|p| p.contains("changed since")),
        "{report:?}"
    );
    fs::copy(clean.join(&manifest.cases[0].labels[0].path), &labels[0]).unwrap();

    // Whatever is not listed, hidden or not; what is missing; a manifest that says what is not so.
    for name in [".hidden.nii.gz", "imagesTr/.notes", "more.txt"] {
        fs::write(out.join(name), "x").unwrap();
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert_eq!(report.problems.len(), 1, "{report:?}");
        assert!(report.problems[0].contains(name), "{report:?}");
        fs::remove_file(out.join(name)).unwrap();
    }
    let json = fs::read(out.join("dataset.json")).unwrap();
    fs::remove_file(out.join("dataset.json")).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert_eq!(report.problems, ["dataset.json: missing"]);
    fs::write(out.join("dataset.json"), json).unwrap();
    assert!(verify(&clean, &out, &mut |_| {}).unwrap().is_kept());
    let mut lying = manifest.clone();
    lying.cases[0].changed_voxels += 1;
    lying.write_atomic(&out.join(MANIFEST_NAME)).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.cases[0].problems[0].contains("the manifest says"),
        "{report:?}"
    );
}
