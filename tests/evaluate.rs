//! The evaluation on written files (the library with the `flex` feature). Victims are far too small to
//! learn much: what is tested is what the table says about them.
#![cfg(feature = "flex")]

use std::{fs, path::Path};

use ndarray::Array3;
use voxshield::{
    data::{
        Affine, MANIFEST_NAME, Manifest, NewVoxels, PhantomConfig, write_new, write_phantom_dataset,
    },
    eval::{
        EvalError, Preprocessing, VictimConfig,
        record::{Cell, CellResult, EvaluationRecord, Outcome, Role},
    },
    perturb::RandomNoise,
    pipeline::{
        EvaluateEvent, EvaluateOptions, EvaluatePaths, Method, PipelineError, ProtectOptions,
        Victim, evaluate, protect,
    },
};

const EPSILON: f64 = 0.05;

/// Clean, protected (by noise that learns nothing) and test phantoms.
fn folders(root: &Path) -> EvaluatePaths {
    let folder = |name: &str| root.join(name);
    let phantoms = |name, cases, seed| {
        write_phantom_dataset(
            &folder(name),
            cases,
            &PhantomConfig::new([18, 17, 16], seed),
        )
        .unwrap();
    };
    phantoms("clean", 5, 5);
    phantoms("test", 2, 77);
    let options = ProtectOptions {
        method: Method::Random {
            noise: RandomNoise::Uniform,
            epsilon: EPSILON,
            seed: 3,
        },
        ..ProtectOptions::default()
    };
    protect(
        &folder("clean"),
        &folder("protected"),
        &options,
        &mut |_| {},
    )
    .unwrap();
    EvaluatePaths {
        protected: folder("protected"),
        clean: Some(folder("clean")),
        test: folder("test"),
        attacker: None,
        compare: vec![],
        work: folder("work"),
    }
}

fn quick() -> EvaluateOptions {
    EvaluateOptions {
        training: VictimConfig {
            patch: [16; 3],
            batch: 1,
            steps: 3,
            ..VictimConfig::narrow()
        },
        test_every: 2,
        ..EvaluateOptions::default()
    }
}

fn victim(network: &str, preprocessing: Preprocessing) -> Victim {
    Victim {
        network: network.into(),
        preprocessing,
    }
}

/// The result of a victim that must not fail.
fn done(cell: &Cell) -> &CellResult {
    match &cell.outcome {
        Outcome::Done(result) => result,
        Outcome::Failed { reason } => panic!("{:?}: {reason}", cell.key),
    }
}

/// The record, and how many victims were trained for it.
fn run(paths: &EvaluatePaths, options: &EvaluateOptions) -> (EvaluationRecord, usize) {
    let mut trained = 0;
    let record = evaluate(paths, options, &mut |event| {
        trained += usize::from(matches!(event, EvaluateEvent::CellStarted { .. }));
    });
    (record.unwrap(), trained)
}

#[test]
fn the_table_has_its_controls_and_no_victim_is_trained_twice() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let options = EvaluateOptions {
        seeds: 2,
        ..quick()
    };
    let (record, trained) = run(&paths, &options);
    assert_eq!(trained, 6);
    let names: Vec<(&str, Role)> = record
        .training_sets
        .iter()
        .map(|set| (set.name.as_str(), set.role))
        .collect();
    let expected = [
        ("clean", Role::Clean),
        ("random", Role::Random),
        ("protected", Role::Protected),
    ];
    assert_eq!(names, expected);
    for cell in &record.cells {
        let result = done(cell);
        let steps: Vec<usize> = result.curve.iter().map(|point| point.step).collect();
        assert_eq!(steps, [2, 3]);
        let best = result
            .curve
            .iter()
            .map(|point| point.dice)
            .fold(0.0, f64::max);
        assert_eq!(result.peak.mean_dice, best);
        assert_eq!(result.last.mean_dice, result.curve[1].dice);
        assert!(result.last.labels.iter().all(|label| label.cases == 2));
    }
    // The random control has the budget, support and cases of the protected set, at full strength.
    let mut folders = fs::read_dir(&paths.work)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let control = folders
        .find(|path| path.join(MANIFEST_NAME).exists())
        .unwrap();
    let manifest = Manifest::read(&control.join(MANIFEST_NAME)).unwrap();
    assert_eq!(
        (manifest.epsilon, manifest.support.as_str()),
        (EPSILON, "roi")
    );
    assert_eq!(manifest.cases.len(), 5);
    assert!(
        manifest
            .cases
            .iter()
            .all(|case| case.achieved > 0.9 * EPSILON)
    );
    // The others are measured against the clean set, and cost a clean-trained network something to read.
    let measured: Vec<&str> = record
        .quality
        .iter()
        .map(|q| q.training_set.as_str())
        .collect();
    assert_eq!(measured, ["random", "protected"]);
    for quality in &record.quality {
        assert_eq!((quality.cases, quality.utility.len()), (5, 1));
        assert!(quality.noise.linf <= EPSILON && quality.noise.linf > 0.9 * EPSILON);
        assert!(quality.psnr_roi_db.unwrap() < quality.psnr_db.unwrap());
        assert!(quality.ssim_roi.unwrap() < quality.ssim && quality.ssim < 1.0);
        assert!(quality.detector.as_ref().unwrap().support_auc > 0.5);
    }
    // Independent noise on every voxel of the label: as much power at every frequency along z.
    let delta = &record.quality[0].spectrum.delta;
    let (lo, hi) = delta
        .iter()
        .fold((f64::MAX, 0.0f64), |(lo, hi), &v| (lo.min(v), hi.max(v)));
    assert!(hi < 2.0 * lo, "{delta:?}");

    let (again, trained) = run(&paths, &options);
    assert_eq!(trained, 0);
    assert_eq!(again, record);
    let stored = fs::read(paths.work.join("evaluation.json")).unwrap();
    let stored: EvaluationRecord = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored.cells.len(), record.cells.len());
    // Other settings and other files are other victims; more seeds only add to what is there.
    let more = EvaluateOptions {
        seeds: 3,
        ..options.clone()
    };
    assert_eq!(run(&paths, &more).1, 3);
    let longer = EvaluateOptions {
        training: VictimConfig {
            steps: 2,
            ..options.training.clone()
        },
        ..options
    };
    assert_eq!(run(&paths, &longer).1, 6);
}

#[test]
fn a_victim_that_fails_is_one_failed_cell() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let options = EvaluateOptions {
        victims: vec![
            victim("residual-unet", Preprocessing::Plain),
            // Its windows do not fit patches of 16.
            victim("swin-unetr", Preprocessing::Plain),
        ],
        ..quick()
    };
    let (record, _) = run(&paths, &options);
    for cell in &record.cells {
        match &cell.outcome {
            Outcome::Done(_) => assert_eq!(cell.key.network, "residual-unet"),
            Outcome::Failed { reason } => {
                assert_eq!(cell.key.network, "swin-unetr");
                assert!(reason.contains("16"), "{reason}");
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
fn defences_are_for_perturbed_sets_and_every_kind_of_victim_runs() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let names = [
        "none",
        "gaussian-blur",
        "affine",
        "clean-mix",
        "clean-only",
        "fine-tune",
    ];
    let names =
        names
            .into_iter()
            .chain(["orthogonal-projection", "ueraser", "adversarial-training"]);
    let options = EvaluateOptions {
        defences: names.map(str::to_owned).collect(),
        ..quick()
    };
    let (record, trained) = run(&paths, &options);
    assert_eq!(trained, 2 + 9, "controls do nothing against a perturbation");
    assert!(
        record
            .cells
            .iter()
            .all(|cell| cell.outcome.result().is_some())
    );
    let loss = |defence: &str| {
        let of = |key: &voxshield::eval::record::CellKey| {
            key.training_set == "protected" && key.defence == defence
        };
        let cell = record.cells.iter().find(|cell| of(&cell.key)).unwrap();
        done(cell).curve[0].loss
    };
    // Each learns from something else.
    let mut losses: Vec<f64> = options
        .defences
        .iter()
        .map(|defence| loss(defence))
        .collect();
    losses.sort_unstable_by(f64::total_cmp);
    assert!(
        losses.windows(2).all(|pair| pair[0] < pair[1]),
        "{losses:?}"
    );

    // Without data of the attacker's own there is no purifier, and the record says so.
    let purified = EvaluateOptions {
        defences: vec!["purifier".into()],
        ..quick()
    };
    let (record, trained) = run(&paths, &purified);
    assert_eq!(trained, 0);
    assert!(
        record.notes[0].contains("purifier is left out"),
        "{:?}",
        record.notes
    );
    let attacker = folder.path().join("attacker");
    write_phantom_dataset(&attacker, 3, &PhantomConfig::new([18, 17, 16], 99)).unwrap();
    let with_pairs = EvaluatePaths {
        attacker: Some(attacker),
        ..paths.clone()
    };
    let (record, trained) = run(&with_pairs, &purified);
    assert_eq!(trained, 1);
    assert!(
        record
            .cells
            .iter()
            .all(|cell| cell.outcome.result().is_some())
    );

    let preprocessed = EvaluateOptions {
        victims: vec![
            victim("nnunet-plain", Preprocessing::NnUnet),
            victim("residual-unet", Preprocessing::Paper),
        ],
        grid: [16; 3],
        target_spacing: Some([1.25, 1.0, 0.8]),
        ..quick()
    };
    let (record, _) = run(&paths, &preprocessed);
    assert_eq!(record.cells.len(), 6);
    for cell in &record.cells {
        assert!(cell.outcome.result().is_some(), "{:?}", cell.outcome);
    }
}

#[test]
fn evaluations_that_would_mislead_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let fails = |paths: &EvaluatePaths, options: &EvaluateOptions| {
        evaluate(paths, options, &mut |_| {}).unwrap_err()
    };
    // The clean originals of the training cases are no test cases, with or without the clean set at hand.
    for clean in [paths.clean.clone(), None] {
        let wrong = EvaluatePaths {
            test: paths.clean.clone().unwrap(),
            clean,
            ..paths.clone()
        };
        let error = fails(&wrong, &quick());
        assert!(
            matches!(error, PipelineError::TestCaseInTraining { .. }),
            "{error}"
        );
    }
    let protected_test = EvaluatePaths {
        test: paths.protected.clone(),
        ..paths.clone()
    };
    let error = fails(&protected_test, &quick());
    assert!(
        matches!(error, PipelineError::TestCaseInTraining { .. }),
        "{error}"
    );

    let unknown = EvaluateOptions {
        defences: vec!["prayer".into()],
        ..quick()
    };
    let error = fails(&paths, &unknown);
    let PipelineError::Eval(EvalError::UnknownDefence { known, .. }) = &error else {
        panic!("{error}")
    };
    assert!(known.contains(&"gamma") && known.contains(&"clean-mix"));

    let inside = EvaluatePaths {
        work: paths.protected.join("work"),
        ..paths.clone()
    };
    let error = fails(&inside, &quick());
    assert!(
        matches!(error, PipelineError::OutputOverlaps { .. }),
        "{error}"
    );

    let twice = EvaluatePaths {
        compare: vec![("clean".into(), paths.clean.clone().unwrap())],
        ..paths.clone()
    };
    let error = fails(&twice, &quick());
    assert!(matches!(error, PipelineError::SameName { .. }), "{error}");

    let nothing = EvaluateOptions {
        seeds: 0,
        ..quick()
    };
    let error = fails(&paths, &nothing);
    assert!(
        matches!(error, PipelineError::NothingToDo { what: "seeds" }),
        "{error}"
    );
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
    let options = EvaluateOptions {
        training: VictimConfig {
            patch: [16; 3],
            batch: 2,
            steps: 60,
            ..VictimConfig::narrow()
        },
        test_every: 20,
        ..EvaluateOptions::default()
    };
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
