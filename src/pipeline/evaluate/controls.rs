use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{EVALUATION_REVISION, EvaluateEvent, EvaluateOptions, labelled::LabelledSet};
use crate::{
    data::{MANIFEST_NAME, Manifest, sha256_bytes},
    pipeline::{Method, PipelineError, ProtectOptions, protect},
};

/// Writes the random control: noise with the budget, support and intensity ranges of the protected
/// dataset, made from its clean original by the same program and read back from files like any other.
pub(super) fn random_control(
    clean: &LabelledSet,
    protected: &LabelledSet,
    options: &EvaluateOptions,
    work: &Path,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<PathBuf, PipelineError> {
    let (manifest, made_with) = made_by(protected)?;
    let control = ProtectOptions {
        method: Method::Random {
            noise: options.noise,
            epsilon: manifest.epsilon,
            seed: manifest.seed,
        },
        surrogate_weights: None,
        save_generator: None,
        max_memory: options.max_memory,
        device: options.device,
        ..made_with
    };
    written(clean, "random", &control, work, observer)
}

/// The manifest of a protected dataset, and the options that it was made with.
pub(super) fn made_by(
    protected: &LabelledSet,
) -> Result<(&Manifest, ProtectOptions), PipelineError> {
    let root = &protected.dataset.root;
    let manifest = protected
        .manifest
        .as_ref()
        .ok_or_else(|| PipelineError::NoManifest { path: root.clone() })?;
    let options = ProtectOptions::from_manifest(manifest, &root.join(MANIFEST_NAME))?;
    Ok((manifest, options))
}

/// Protects a clean set into a folder that is named by what it depends on; one that an earlier run
/// finished is used again.
pub(super) fn written(
    clean: &LabelledSet,
    name: &str,
    options: &ProtectOptions,
    work: &Path,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<PathBuf, PipelineError> {
    let content = format!(
        "{} {} {} {EVALUATION_REVISION} {}",
        clean.facts.sha256,
        options.to_json(),
        env!("CARGO_PKG_VERSION"),
        options.device
    );
    let folder = work.join(format!(
        "{name}-{}",
        &sha256_bytes(content.as_bytes())[..16]
    ));
    if folder.join(MANIFEST_NAME).exists() {
        return Ok(folder);
    }
    if folder.exists() {
        // Without its manifest it is what an interrupted run left.
        fs::remove_dir_all(&folder)
            .map_err(PipelineError::io("remove the unfinished folder", &folder))?;
    }
    let root = &clean.dataset.root;
    protect(root, &folder, options, &mut |event| {
        observer(EvaluateEvent::Protect(event))
    })?;
    Ok(folder)
}
