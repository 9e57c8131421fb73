//! Defences, and what an evaluation refuses.

use std::path::Path;

use voxshield::{
    data::{MANIFEST_NAME, Manifest, PhantomConfig, Volume, write_phantom_dataset},
    eval::{EvalError, Preprocessing, record::Cell},
    pipeline::{EvaluateOptions, EvaluatePaths, PipelineError, evaluate, protect},
};

use super::{done, folders, quick, run, victim};
use crate::support::learned;

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
            // A strength that is chosen for the protection is part of the name.
            let name = key.defence.split(':').next();
            key.training_set == "protected" && name == Some(defence)
        };
        let cell = record.cells.iter().find(|cell| of(&cell.key)).unwrap();
        done(cell).curve[0].loss
    };
    let adversarial = record.cells.iter().map(|cell| &cell.key.defence);
    let mut adversarial = adversarial.filter(|name| name.starts_with("adversarial"));
    assert_eq!(adversarial.next(), Some(&radius(&paths.protected)));
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
    // Nor are there victims of what needs clean cases, where none were given.
    let alone = EvaluatePaths {
        clean: None,
        ..paths.clone()
    };
    let mixed = EvaluateOptions {
        defences: vec!["clean-mix:0.5".into()],
        ..quick()
    };
    let (record, _) = run(&alone, &mixed);
    let told = |note: &String| note.contains("left out") && note.contains("clean-mix:0.5");
    assert!(record.notes.iter().any(told), "{:?}", record.notes);
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

/// Adversarial training in epsilon of what the manifest calls 0..1, in deviations of the whole volumes, as a z-score has them.
fn radius(protected: &Path) -> String {
    let manifest = Manifest::read(&protected.join(MANIFEST_NAME)).unwrap();
    let ratios = manifest.cases.iter().map(|case| {
        let files = case.files.iter().map(|file| protected.join(&file.path));
        let volume = Volume::open(&files.collect::<Vec<_>>()).unwrap();
        let values: Vec<f64> = volume.channel_values(0).map(f64::from).collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        case.ranges[0].width() / (squares / count).sqrt()
    });
    let mean = ratios.sum::<f64>() / manifest.cases.len() as f64;
    format!("adversarial-training:{:.4}", manifest.epsilon * mean)
}

#[test]
fn what_needs_no_training_is_computed_from_what_is_published_and_undone() {
    let folder = tempfile::tempdir().unwrap();
    let paths = folders(folder.path());
    let options = EvaluateOptions {
        defences: vec!["recompute".into(), "reapply".into()],
        ..quick()
    };
    let (record, trained) = run(&paths, &options);
    assert_eq!(trained, 3 + 2);
    let loss = |set: &str, defence: &str| {
        let of = |cell: &&Cell| cell.key.training_set == set && cell.key.defence == defence;
        done(record.cells.iter().find(of).unwrap()).curve[0].loss
    };
    // Trained on what is the clean file again, but for its rounding and what was clipped.
    let off = |defence| (loss("protected", defence) - loss("clean", "none")).abs();
    let [none, subtracted, doubled] = ["none", "recompute", "reapply"].map(off);
    assert!(
        subtracted < 0.3 * none && doubled > none,
        "{subtracted} {none} {doubled}"
    );

    let learned_folder = folder.path().join("learned");
    let clean = paths.clean.as_deref().unwrap();
    protect(clean, &learned_folder, &learned(), &mut |_| {}).unwrap();
    let learned = EvaluatePaths {
        protected: learned_folder,
        ..paths
    };
    let (record, trained) = run(&learned, &options);
    assert_eq!(trained, 2, "its own control, and it undefended");
    let told = |note: &String| note.contains("was trained") && note.contains("recompute, reapply");
    assert!(record.notes.iter().any(told), "{:?}", record.notes);
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

    // Nor are they the attacker's own data.
    let purified = EvaluateOptions {
        defences: vec!["purifier".into()],
        ..quick()
    };
    for attacker in [paths.clean.clone(), Some(paths.test.clone())] {
        let wrong = EvaluatePaths {
            attacker,
            clean: None,
            ..paths.clone()
        };
        let error = fails(&wrong, &purified);
        assert!(
            matches!(error, PipelineError::AttackersCaseElsewhere { .. }),
            "{error}"
        );
    }

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
