//! What is in the folder to import: series, labels, and what is neither.

use std::fs;

use voxshield_data::{
    Affine, DataError, DicomError, LayoutError, NewVoxels, StoredVolume, import_dicom, write_new,
};

use super::{COLUMNS, ROWS, SLICES, Scan, write};

#[test]
fn cases_with_labels_become_a_plain_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    for case in ["a", "b"] {
        Scan::new().write(&input.join("images").join(case));
    }
    let first = import_dicom(
        &input.join("images/a"),
        &folder.path().join("one"),
        &mut |_| {},
    )
    .unwrap();
    assert!(first[0].shape.is_ok());
    let affine = StoredVolume::read(&folder.path().join("one/images/a.nii.gz"))
        .unwrap()
        .affine();
    let label =
        ndarray::Array3::<u8>::from_shape_fn((COLUMNS, ROWS, SLICES), |(_, _, k)| (k > 2).into());
    fs::create_dir_all(input.join("labels")).unwrap();
    let save = |case: &str, affine: &Affine| {
        let path = input.join(format!("labels/{case}.nii.gz"));
        write_new(&path, NewVoxels::from(label.view()), affine).unwrap();
        fs::read(path).unwrap()
    };
    let bytes = save("a", &affine);
    // Elsewhere and along other axes.
    save("b", &Affine::from_spacing([-3.0, 1.0, 1.0]));
    let cases = import_dicom(&input, &output, &mut |_| {}).unwrap();
    assert!(cases[0].shape.is_ok() && cases[0].labelled);
    assert!(matches!(
        cases[1].shape,
        Err(DataError::GridMismatch { .. })
    ));
    assert_eq!(fs::read(output.join("labels/a.nii.gz")).unwrap(), bytes);
    let dataset = voxshield_data::discover(&output).unwrap();
    assert_eq!(
        (dataset.layout, dataset.cases.len(), dataset.problems.len()),
        ("plain", 1, 0)
    );
}

#[test]
fn a_folder_without_a_series_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let run = || import_dicom(&input, &output, &mut |_| {});
    let refused = |found: &str| {
        let error = run().unwrap_err();
        assert!(
            matches!(
                error,
                DataError::Dicom {
                    problem: DicomError::NoSeries { .. },
                    ..
                }
            ),
            "{error}"
        );
        let message = error.to_string();
        assert!(message.contains("expected images/CASE/"), "{error}");
        assert!(message.ends_with(found), "{error}");
    };
    assert!(matches!(
        run(),
        Err(DataError::Layout(LayoutError::NotAFolder { .. }))
    ));
    fs::create_dir(&input).unwrap();
    refused("found no file");
    fs::create_dir(input.join("images")).unwrap();
    refused("found images/ with nothing in it");
    for slice in 0..2 {
        write(
            &input.join(format!("images/{slice}")),
            Scan::new().slice(slice),
        );
    }
    fs::write(input.join("images/.hidden"), "").unwrap();
    refused("found images/ with files but no folder");
    // A case without files is not answered with layouts of NIfTI files.
    fs::create_dir(input.join("images/empty")).unwrap();
    assert!(matches!(
        run().unwrap()[0].shape,
        Err(DataError::Dicom {
            problem: DicomError::TooFew { found: 0 },
            ..
        })
    ));
    assert!(!output.exists());
}

#[test]
fn a_series_that_is_called_dot_has_the_name_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let knee = folder.path().join("knee");
    Scan::new().write(&knee);
    // The test's own folder is not to be changed; below the series there is one folder, `deep`.
    for (input, output) in [(knee.join("deep/.."), "one"), (knee.join("."), "two")] {
        let output = folder.path().join(output);
        let cases = import_dicom(&input, &output, &mut |_| {}).unwrap();
        assert_eq!(cases[0].id, "knee");
        let names = fs::read_dir(output.join("images")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["knee.nii.gz"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn links_loose_files_and_unfit_names_are_failed_cases() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let images = input.join("images");
    Scan::new().write(&images.join("good"));
    Scan::new().write(&images.join("12:30"));
    // Two names that read the same in lossy text.
    for name in [b"a\xFE", b"a\xFF"] {
        fs::create_dir(images.join(OsStr::from_bytes(name))).unwrap();
    }
    symlink(images.join("good"), images.join("linked")).unwrap();
    for name in ["IM2", "IM1", "DICOMDIR"] {
        fs::write(images.join(name), "").unwrap();
    }
    let mut seen = 0;
    let cases = import_dicom(&input, &output, &mut |_| seen += 1).unwrap();
    assert_eq!(seen, cases.len());
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let lossy = "a\u{FFFD}";
    assert_eq!(ids, ["12:30", lossy, lossy, "good", "linked", "images"]);
    let error = |at: usize| cases[at].shape.as_ref().unwrap_err();
    for at in 0..3 {
        assert!(
            matches!(error(at), DataError::Layout(LayoutError::UnfitName { .. })),
            "{}",
            error(at)
        );
    }
    assert!(cases[3].shape.is_ok());
    assert!(matches!(error(4), DataError::SymbolicLink { .. }));
    assert!(matches!(
        error(5),
        DataError::Dicom { problem: DicomError::Loose { found: 2, first }, .. } if first == "IM1"
    ));
    assert!(error(5).to_string().contains("images/CASE/"));
    assert_eq!(fs::read_dir(output.join("images")).unwrap().count(), 1);
}

/// A label of two files is one label, and a label that is not used is said so.
#[cfg(unix)]
#[test]
fn labels_are_copied_whole_and_none_is_left_out_in_silence() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    for case in ["linked", "pair", "twice"] {
        Scan::new().write(&input.join("images").join(case));
    }
    let first = folder.path().join("one");
    import_dicom(&input.join("images/pair"), &first, &mut |_| {}).unwrap();
    let affine = StoredVolume::read(&first.join("images/pair.nii.gz"))
        .unwrap()
        .affine();
    let labels = input.join("labels");
    fs::create_dir_all(&labels).unwrap();
    let label =
        ndarray::Array3::<u8>::from_shape_fn((COLUMNS, ROWS, SLICES), |(_, _, k)| (k > 2).into());
    let save =
        |path: &std::path::Path| write_new(path, NewVoxels::from(label.view()), &affine).unwrap();
    let single = folder.path().join("single.nii");
    save(&single);
    // Cut in two.
    let bytes = fs::read(&single).unwrap();
    let mut header = bytes[..352].to_vec();
    header[344..348].copy_from_slice(b"ni1\0");
    header[108..112].copy_from_slice(&0_f32.to_le_bytes());
    fs::write(labels.join("pair.hdr"), header).unwrap();
    fs::write(labels.join("pair.img"), &bytes[352..]).unwrap();
    symlink(&single, labels.join("linked.nii")).unwrap();
    for name in ["twice.nii", "twice.nii.gz", "nobody.nii.gz"] {
        save(&labels.join(name));
    }
    let mut seen = 0;
    let cases = import_dicom(&input, &output, &mut |_| seen += 1).unwrap();
    let ids: Vec<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["linked", "pair", "twice", "nobody"]);
    assert_eq!(seen, 4);
    let error = |at: usize| cases[at].shape.as_ref().unwrap_err();
    assert!(
        matches!(error(0), DataError::SymbolicLink { .. }),
        "{}",
        error(0)
    );
    assert!(cases[1].shape.is_ok() && cases[1].labelled);
    assert!(
        matches!(
            error(2),
            DataError::Layout(LayoutError::DuplicateCase { .. })
        ),
        "{}",
        error(2)
    );
    assert!(
        matches!(
            error(3),
            DataError::Dicom {
                problem: DicomError::NoCase { .. },
                ..
            }
        ),
        "{}",
        error(3)
    );
    for file in ["pair.hdr", "pair.img"] {
        let copied = fs::read(output.join("labels").join(file)).unwrap();
        assert_eq!(copied, fs::read(labels.join(file)).unwrap());
    }
    let dataset = voxshield_data::discover(&output).unwrap();
    assert_eq!((dataset.cases.len(), dataset.problems.len()), (1, 0));
}
