//! A preview beside the run that it is a preview of.

use std::{fs, path::Path, time::Duration};

use voxshield::{
    data::{Manifest, discover, sha256_file},
    pipeline::{
        Method, NormalisationChoice, PipelineError, PreparedCase, Preview, ProtectOptions, preview,
        protect,
    },
};

use crate::support::{config, phantoms, random, unlabelled};

fn run(
    root: &Path,
    id: &str,
    scratch: &Path,
    options: &ProtectOptions,
) -> Result<Preview, PipelineError> {
    preview(root, id, scratch, options, Duration::ZERO, &mut |_| {})
}

/// The middle of the three cases.
fn second(root: &Path) -> String {
    discover(root).unwrap().cases[1].id.clone()
}

#[test]
fn random_noise_is_what_the_whole_run_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    let scratch = folder.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    phantoms(&clean, 3, 5);
    let id = second(&clean);
    // CT ranges come from the whole dataset, MRI ranges from the case.
    for choice in [NormalisationChoice::Mri, NormalisationChoice::Ct] {
        let options = ProtectOptions {
            normalisation: choice,
            ..random(0.02)
        };
        let out = out.join(choice.to_string());
        let manifest: Manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
        let found = run(&clean, &id, &scratch, &options).unwrap();
        let whole = manifest.cases.iter().find(|case| case.id == id).unwrap();
        assert_eq!(
            found.record.files, whole.files,
            "other bytes than the run's"
        );
        assert_eq!(found.record.ranges, whole.ranges);
        assert_eq!(found.rounds, None);

        // The picture is drawn from the written file, where it differs from the clean one.
        let dataset = discover(&out).unwrap();
        let case = dataset.cases.iter().find(|case| case.id == id).unwrap();
        let written = PreparedCase::open(&dataset, case).unwrap();
        let shape = written.volume.shape();
        let values = written.normalised(&whole.ranges);
        let slice = voxshield::eval::picture::AxialSlice::new(
            &values,
            shape,
            written.volume.spacing(),
            found.montage.slice,
        );
        assert_eq!(found.montage.pictures[1], slice.unwrap().picture(|v| v));
        let change = &found.montage.pictures[2];
        let (least, most) = (change.pixels().iter().min(), change.pixels().iter().max());
        assert!(
            least < Some(&13) && most > Some(&242),
            "not amplified to the full range"
        );
        assert!(change.pixels().contains(&128), "nothing is unchanged");
        assert_eq!(found.estimate.cases, 3);
        assert!(found.estimate.training.is_none());
        let each = 2.0 * found.estimate.read_case + found.estimate.write_case;
        assert!((found.estimate.total - 3.0 * each).abs() < 1e-9);
    }
    assert_eq!(
        fs::read_dir(&scratch).unwrap().count(),
        0,
        "a file was left"
    );
}

#[test]
fn the_method_is_trained_shortly_and_its_steps_are_counted_for_the_whole_run() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 3, 5);
    let id = second(&clean);
    let files = |root: &Path| -> Vec<String> {
        let dataset = discover(root).unwrap();
        let all = dataset
            .cases
            .iter()
            .flat_map(|case| case.images.iter().chain(&case.label));
        all.map(|path| sha256_file(&root.join(path)).unwrap())
            .collect()
    };
    let before = files(&clean);
    let mut config = config();
    (config.common.rounds, config.common.surrogate_steps) = (50, 4);
    let options = ProtectOptions {
        method: Method::Bilevel(config),
        ..ProtectOptions::default()
    };
    let found = run(&clean, &id, folder.path(), &options).unwrap();
    // There was no time: one round.
    assert_eq!(found.rounds, Some(1));
    let training = found.estimate.training.unwrap();
    // Three cases in batches of two, 50 rounds.
    assert_eq!((training.surrogate_steps, training.noise_steps), (200, 100));
    assert!(training.surrogate_step > 0.0 && training.noise_step > 0.0);
    let steps = 200.0 * training.surrogate_step + 100.0 * training.noise_step;
    assert!(found.estimate.total > steps);
    assert!(found.record.achieved > 0.0 && found.record.achieved <= options.method.epsilon());
    assert_eq!(files(&clean), before, "the dataset was written to");
}

#[test]
fn previews_that_cannot_be_made_are_typed_errors() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    phantoms(&clean, 3, 5);
    let error = run(&clean, "nobody", folder.path(), &random(0.02)).unwrap_err();
    assert!(matches!(&error, PipelineError::UnknownCase { known, .. } if known.len() == 3));
    assert!(error.to_string().contains(&second(&clean)), "{error}");
    let images = folder.path().join("images");
    unlabelled(&images, 2);
    let error = run(&images, "case0", folder.path(), &random(0.02)).unwrap_err();
    assert!(
        matches!(error, PipelineError::NoLabels { cases: 2, .. }),
        "{error}"
    );
    let inside = run(&clean, &second(&clean), &clean, &random(0.02)).unwrap_err();
    assert!(matches!(&inside, PipelineError::PreviewInside { folder, .. } if *folder == clean));
    // Nobody asked for the folder of the trial.
    let text = inside.to_string();
    assert!(
        text.contains("--out") && !text.contains("voxshield-preview"),
        "{text}"
    );
    let missing = run(
        &clean,
        &second(&clean),
        &folder.path().join("none"),
        &random(0.02),
    );
    assert!(matches!(missing, Err(PipelineError::Io { .. })));
    // Far less than one stored step.
    let error = run(&clean, &second(&clean), folder.path(), &random(1e-9)).unwrap_err();
    assert!(
        matches!(&error, PipelineError::NoUsableCase { first, .. } if first.contains("epsilon"))
    );
}
