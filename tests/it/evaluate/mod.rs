//! The evaluation. Victims are far too small to
//! learn much: what is tested is what the table says about them.

mod defences;
mod victims;

use std::{fs, path::Path};

use voxshield::{
    data::{MANIFEST_NAME, Manifest, PhantomConfig, write_phantom_dataset},
    eval::{
        Preprocessing, VictimConfig,
        record::{Cell, CellResult, EvaluationRecord, Outcome, Role},
    },
    perturb::RandomNoise,
    pipeline::{
        EVALUATION_REVISION, EvaluateEvent, EvaluateOptions, EvaluatePaths, Method, ProtectOptions,
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
        assert!(quality.detector.as_ref().unwrap().support_auc.unwrap() > 0.5);
        let utility = &quality.utility[0];
        assert_eq!((utility.seed, utility.cases), (0, 5));
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
    assert_eq!(record.revision, EVALUATION_REVISION);
    assert!(record.notes.is_empty(), "{:?}", record.notes);
    let stored = fs::read(paths.work.join("evaluation.json")).unwrap();
    let stored: EvaluationRecord = serde_json::from_slice(&stored).unwrap();
    assert_eq!(stored.cells.len(), record.cells.len());
    // Other settings and other files are other victims; more seeds only add to what is there.
    let more = EvaluateOptions {
        seeds: 3,
        ..options.clone()
    };
    let (record, trained) = run(&paths, &more);
    assert_eq!(trained, 3);
    assert!(record.notes.is_empty(), "{:?}", record.notes);
    // Without the weights of the clean control, what the others cost is not known, and the record says so.
    for entry in fs::read_dir(paths.work.join("cells")).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            fs::remove_file(path).unwrap();
        }
    }
    let (record, trained) = run(&paths, &more);
    assert_eq!(trained, 0);
    let told = |note: &String| note.contains("no weights of the clean control: residual-unet");
    assert!(record.notes.iter().any(told), "{:?}", record.notes);
    let longer = EvaluateOptions {
        training: VictimConfig {
            steps: 2,
            ..options.training.clone()
        },
        ..options
    };
    assert_eq!(run(&paths, &longer).1, 6);
}
