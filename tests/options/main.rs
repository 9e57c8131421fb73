//! What an owner may choose beside the method, on written files (the library with the `flex` feature).
#![cfg(feature = "flex")]

mod labels;
mod saved_generator;
mod supports;

use std::path::Path;

use voxshield::{
    data::{Manifest, PhantomConfig, StoredVolume, write_phantom_dataset},
    perturb::{BilevelConfig, ClosedForm, SurrogateConfig},
    pipeline::{Method, PipelineError, ProtectOptions, protect, verify},
};

/// A training of a few steps.
fn config() -> BilevelConfig {
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

fn learned() -> ProtectOptions {
    ProtectOptions {
        method: Method::Bilevel(config()),
        ..ProtectOptions::default()
    }
}

/// Two labels in 12 x 17 x 14 voxels; another seed is another set.
fn phantoms(root: &Path, cases: u64, seed: u64) {
    write_phantom_dataset(root, cases, &PhantomConfig::new([12, 17, 14], seed)).unwrap();
}

fn run(clean: &Path, out: &Path, options: &ProtectOptions) -> Result<Manifest, PipelineError> {
    protect(clean, out, options, &mut |_| {})
}

/// Every promise of the written files.
fn assert_kept(clean: &Path, out: &Path) {
    let report = verify(clean, out, &mut |_| {}).unwrap();
    assert!(report.is_kept(), "{report:?}");
}

/// A closed form, which takes no time.
fn coded(name: &str) -> ProtectOptions {
    ProtectOptions {
        method: Method::ClosedForm {
            code: ClosedForm::find(name).unwrap(),
            epsilon: 0.1,
            seed: 2,
        },
        ..ProtectOptions::default()
    }
}

/// `|v' - v|` of each voxel, and its label, of a case of `phantoms`, both in stored order.
fn changes(clean: &Path, out: &Path, manifest: &Manifest) -> Vec<(f64, u16)> {
    let case = &manifest.cases[0];
    let file = |root: &Path| StoredVolume::read(&root.join(&case.files[0].path)).unwrap();
    let (before, after) = (file(clean), file(out));
    let label = clean.join(
        case.files[0]
            .path
            .replace("imagesTr", "labelsTr")
            .replace("_0000", ""),
    );
    let labels = StoredVolume::read(&label).unwrap();
    before
        .values()
        .zip(after.values())
        .zip(labels.values())
        .map(|((a, b), label)| ((a - b).abs(), label as u16))
        .collect()
}
