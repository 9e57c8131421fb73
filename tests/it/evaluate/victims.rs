//! Victims that fail, and that learn.

use std::{fs, path::Path};

use ndarray::Array3;
use voxshield::{
    data::{Affine, NewVoxels, write_new},
    eval::{Preprocessing, VictimConfig, record::Outcome},
    pipeline::{EvaluateOptions, EvaluatePaths, Victim, evaluate},
};

use super::{done, folders, quick, run, victim};

#[test]
fn a_victim_that_fails_is_one_failed_cell() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let options = EvaluateOptions {
        victims: vec![
            victim("residual-unet", Preprocessing::Plain),
            victim("residual-unet", Preprocessing::NnUnet),
        ],
        // Volumes of 10^12 voxels.
        target_spacing: Some([1e-3; 3]),
        ..quick()
    };
    let (record, _) = run(&paths, &options);
    for cell in &record.cells {
        match &cell.outcome {
            Outcome::Done(_) => assert_eq!(cell.key.preprocessing, Preprocessing::Plain),
            Outcome::Failed { reason } => {
                assert_eq!(cell.key.preprocessing, Preprocessing::NnUnet);
                assert!(reason.contains("resampling"), "{reason}");
            }
        }
    }
    let worst = record
        .summary
        .worst
        .iter()
        .find(|w| w.training_set == "protected")
        .unwrap();
    assert_eq!((worst.compared, worst.failed), (1, 1));
    assert!(
        record.notes.iter().any(|note| note.starts_with("3 of 6")),
        "{:?}",
        record.notes
    );
    // A failure is kept as well, unless asked for again.
    assert_eq!(run(&paths, &options).1, 0);
    let retry = EvaluateOptions {
        retry_failed: true,
        ..options
    };
    assert_eq!(run(&paths, &retry).1, 3);

    let diverging = EvaluateOptions {
        training: VictimConfig {
            learning_rate: 1e30,
            ..quick().training
        },
        ..quick()
    };
    let (record, _) = run(&paths, &diverging);
    for cell in &record.cells {
        let Outcome::Failed { reason } = &cell.outcome else {
            panic!("steps of size 1e30 are no training")
        };
        assert!(reason.contains("lower the learning rate"), "{reason}");
    }
}

#[test]
fn a_patch_that_a_network_does_not_take_is_refused_before_anything_is_read() {
    let paths = EvaluatePaths {
        protected: "none".into(),
        clean: None,
        test: "none".into(),
        attacker: None,
        compare: vec![],
        work: "none".into(),
    };
    let refused = |second: Victim| {
        let options = EvaluateOptions {
            victims: vec![victim("residual-unet", Preprocessing::Plain), second],
            grid: [30; 3],
            ..quick()
        };
        let error = evaluate(&paths, &options, &mut |_| panic!("something was begun"));
        error.unwrap_err().to_string()
    };
    // Patches are of 16.
    for (second, flag, expected) in [
        (
            victim("swin-unetr", Preprocessing::Plain),
            "--patch",
            "[32, 32, 32]",
        ),
        (
            victim("swin-unetr", Preprocessing::NnUnet),
            "--patch",
            "[32, 32, 32]",
        ),
        (
            victim("residual-unet", Preprocessing::Paper),
            "--grid",
            "[4, 4, 4]",
        ),
        (
            victim("unetr", Preprocessing::Paper),
            "--grid",
            "multiple of 16",
        ),
    ] {
        let error = refused(second.clone());
        for part in [flag, expected, second.network.as_str()] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

/// Bright blocks of label 1 on noise: easy, so that a short training shows whether a victim learns.
fn blocks(root: &Path, cases: u16) {
    let affine = Affine::from_spacing([1.0; 3]);
    for case in 0..cases {
        let at = usize::from(case % 5);
        let label = Array3::from_shape_fn((18, 17, 16), |(i, j, k)| {
            let inside = |v: usize, first: usize| (first..first + 7).contains(&v);
            u8::from(inside(i, 3 + at) && inside(j, 8 - at) && inside(k, 4))
        });
        let image = Array3::from_shape_fn((18, 17, 16), |(i, j, k)| {
            let noise = ((i * 131 + j * 71 + k * 37 + usize::from(case) * 17) % 29) as i16;
            200 + 10 * noise + 400 * i16::from(label[[i, j, k]])
        });
        let write = |folder: &str, voxels| {
            fs::create_dir_all(root.join(folder)).unwrap();
            write_new(
                &root.join(folder).join(format!("{case}.nii.gz")),
                voxels,
                &affine,
            )
            .unwrap();
        };
        write("images", NewVoxels::from(image.view()));
        write("labels", NewVoxels::from(label.view()));
    }
}

/// A victim sees files, and finds what they show.
#[test]
fn a_victim_of_clean_files_learns() {
    let folder = tempfile::tempdir().unwrap();
    let (train, test) = (folder.path().join("train"), folder.path().join("test"));
    blocks(&train, 4);
    // The fifth place of the block is in no training case.
    blocks(&test, 5);
    for case in 0..4 {
        for kind in ["images", "labels"] {
            fs::remove_file(test.join(kind).join(format!("{case}.nii.gz"))).unwrap();
        }
    }
    let paths = EvaluatePaths {
        protected: train,
        clean: None,
        test,
        attacker: None,
        compare: vec![],
        work: folder.path().join("work"),
    };
    let mut options = quick();
    (options.training.batch, options.training.steps) = (2, 60);
    options.test_every = 20;
    let (record, _) = run(&paths, &options);
    assert_eq!(record.cells.len(), 1);
    let result = done(&record.cells[0]);
    assert!(result.peak.mean_dice > 0.7, "{:?}", result.curve);
    assert!(result.curve[2].loss < result.curve[0].loss);
    let label = &result.peak.labels[0];
    assert_eq!((label.label, label.cases, label.found), (1, 1, 1));
    // Dice and IoU of one case belong together, and a good mask is near everywhere.
    let (dice, iou) = (label.dice.unwrap(), label.iou.unwrap());
    assert!((dice - 2.0 * iou / (1.0 + iou)).abs() < 1e-12);
    assert!(label.hd95_mm.unwrap() < 8.0 && label.assd_mm.unwrap() < 3.0);
    assert!(
        record.notes[0].contains("controls are missing"),
        "{:?}",
        record.notes
    );
}
