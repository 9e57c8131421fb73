//! What an owner may choose beside the method, on written files (the library with the `flex` feature).
#![cfg(feature = "flex")]

mod saved_generator;

use std::path::Path;

use voxshield::{
    data::{Manifest, PhantomConfig, write_phantom_dataset},
    perturb::BilevelConfig,
    pipeline::{Method, PipelineError, ProtectOptions, protect, verify},
};

/// A training of a few steps.
fn config() -> BilevelConfig {
    BilevelConfig {
        rounds: 2,
        surrogate_steps: 1,
        batch: 2,
        patch: [8; 3],
        ..BilevelConfig::compact()
    }
}

fn learned() -> ProtectOptions {
    ProtectOptions {
        method: Method::Voxshield(config()),
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
