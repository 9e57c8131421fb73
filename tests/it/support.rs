//! What these tests share: small datasets, and options that take no time.

use std::{fs, path::Path};

use voxshield::{
    data::{Manifest, PhantomConfig, write_phantom_dataset},
    perturb::{BilevelConfig, ClosedForm, RandomNoise, SurrogateConfig},
    pipeline::{Method, PipelineError, ProtectOptions, protect, verify},
};

/// Two labels in 12 x 17 x 14 voxels; another seed is another set.
pub(crate) fn phantoms(root: &Path, cases: u64, seed: u64) {
    write_phantom_dataset(root, cases, &PhantomConfig::new([12, 17, 14], seed)).unwrap();
}

/// `cases` phantoms as images only.
pub(crate) fn unlabelled(root: &Path, cases: u64) {
    let labelled = root.with_extension("labelled");
    phantoms(&labelled, cases, 5);
    fs::create_dir_all(root.join("images")).unwrap();
    for (index, entry) in fs::read_dir(labelled.join("imagesTr")).unwrap().enumerate() {
        let name = format!("images/case{index}.nii.gz");
        fs::copy(entry.unwrap().path(), root.join(name)).unwrap();
    }
}

/// A training of a few steps.
pub(crate) fn config() -> BilevelConfig {
    BilevelConfig {
        common: SurrogateConfig {
            rounds: 2,
            surrogate_steps: 1,
            batch: 2,
            patch: [8; 3],
            ..SurrogateConfig::compact()
        },
        ..BilevelConfig::compact()
    }
}

fn with(method: Method) -> ProtectOptions {
    ProtectOptions {
        method,
        ..ProtectOptions::default()
    }
}

pub(crate) fn learned() -> ProtectOptions {
    with(Method::Bilevel(config()))
}

pub(crate) fn random(epsilon: f64) -> ProtectOptions {
    with(Method::Random {
        noise: RandomNoise::Rademacher,
        epsilon,
        seed: 3,
    })
}

/// A closed form.
pub(crate) fn coded(name: &str) -> ProtectOptions {
    with(Method::ClosedForm {
        code: ClosedForm::find(name).unwrap(),
        epsilon: 0.1,
        seed: 2,
    })
}

pub(crate) fn run(
    clean: &Path,
    out: &Path,
    options: &ProtectOptions,
) -> Result<Manifest, PipelineError> {
    protect(clean, out, options, &mut |_| {})
}

/// Every promise of the written files.
pub(crate) fn assert_kept(clean: &Path, out: &Path) {
    let report = verify(clean, out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}
