use voxshield::{
    perturb::Support,
    pipeline::{Method, PipelineError, ProtectOptions, verify},
};

use super::changes;
use crate::support::{assert_kept, coded, learned, phantoms, run};

#[test]
fn every_support_holds_for_trained_and_untrained_methods() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: String| folder.path().join(name);
    let clean = path("clean".into());
    phantoms(&clean, 2, 5);
    for support in Support::ALL {
        for (name, options) in [("coded", coded("checkerboard")), ("learned", learned())] {
            let out = path(format!("{name}-{}", support.name()));
            let options = ProtectOptions { support, ..options };
            let manifest = run(&clean, &out, &options).unwrap();
            assert_eq!((manifest.cases.len(), manifest.failed.len()), (2, 0));
            for case in &manifest.cases {
                assert!(case.changed_voxels > 0 && case.changed_voxels <= case.support_voxels);
            }
            assert_kept(&clean, &out);
        }
    }
}

/// The mask is computed again from clean files and manifest: another key is another mask.
#[test]
fn a_keyed_support_differs_between_cases_and_seeds_and_verify_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let mut options = coded("checkerboard");
    options.support = Support::KeyedRandom { share: 0.4 };
    let manifest = run(&clean, &out, &options).unwrap();
    assert_kept(&clean, &out);
    let share = manifest.cases[0].support_voxels as f64 / (12.0 * 17.0 * 14.0);
    assert!((share - 0.4).abs() < 0.05, "{share}");
    let file = out.join("voxshield.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"seed\": 2", "\"seed\": 3")).unwrap();
    let report = verify(&clean, &out, &mut |_| {}).unwrap();
    assert!(
        report.cases[0]
            .problems
            .iter()
            .any(|p| p.contains("outside the support")),
        "{report:?}"
    );
}

#[test]
fn each_label_keeps_its_share_and_the_written_files_prove_it() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    for (index, options) in [coded("checkerboard"), learned()].into_iter().enumerate() {
        let out = out.join(index.to_string());
        let epsilon = options.method.epsilon();
        let options = ProtectOptions {
            support: Support::Full,
            label_weights: "1=0,2=0.25".parse().unwrap(),
            ..options
        };
        let manifest = run(&clean, &out, &options).unwrap();
        assert_kept(&clean, &out);
        let range = manifest.cases[0].ranges[0];
        let width = range.hi - range.lo;
        let most = |wanted: u16| {
            let all = changes(&clean, &out, &manifest);
            let own = all.iter().filter(|(_, label)| *label == wanted);
            own.map(|(change, _)| change / width).fold(0.0, f64::max)
        };
        let [background, first, second] = [0, 1, 2].map(most);
        assert_eq!(first, 0.0);
        assert!(second > 0.0 && second <= 0.25 * epsilon, "{second}");
        assert!(
            background > 0.25 * epsilon && background <= epsilon,
            "{background}"
        );
        // Whoever claims less than what was done is found out.
        let file = out.join("voxshield.json");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("1=0,2=0.25"), "{text}");
        std::fs::write(&file, text.replace("1=0,2=0.25", "1=0,2=0.05")).unwrap();
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert!(!report.is_kept(), "{report:?}");
        // At 4/255 a twentieth is less than a stored step, which is a refusal by itself.
        let expected = ["their share of it", "no such usable case"][index];
        let problems = &report.cases[0].problems;
        assert!(
            problems.iter().any(|p| p.contains(expected)),
            "{problems:?}"
        );
    }
}

#[test]
fn weights_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 1, 5);
    let weigh = |weights: &str| {
        let options = ProtectOptions {
            label_weights: weights.parse().unwrap(),
            ..coded("checkerboard")
        };
        run(&clean, &out, &options).unwrap_err()
    };
    let error = weigh("7=0.5");
    assert!(
        matches!(error, PipelineError::UnknownLabel { label: 7, .. }),
        "{error}"
    );
    // Nothing is left to protect.
    let error = weigh("1=0,2=0").to_string();
    assert!(error.contains("no voxel lies in the support"), "{error}");
    assert!(!out.exists());
    let options = ProtectOptions {
        support: Support::TopK { share: 0.0 },
        method: Method::Random {
            noise: voxshield::perturb::RandomNoise::Uniform,
            epsilon: 0.1,
            seed: 0,
        },
        ..ProtectOptions::default()
    };
    assert!(run(&clean, &out, &options).is_err());
}
