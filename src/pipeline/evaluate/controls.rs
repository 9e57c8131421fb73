use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{EvaluateEvent, EvaluateOptions, labelled::LabelledSet};
use crate::{
    data::{MANIFEST_NAME, sha256_bytes},
    pipeline::{Method, PipelineError, ProtectOptions, protect},
};

/// Writes the random control: noise with the budget, support and intensity ranges of the protected
/// dataset, made from its clean original by the same program and read back from files like any other.
///
/// The folder is named by what it depends on; one that an earlier run finished is used again.
pub(super) fn random_control(
    clean: &LabelledSet,
    protected: &LabelledSet,
    options: &EvaluateOptions,
    work: &Path,
    observer: &mut dyn FnMut(EvaluateEvent<'_>),
) -> Result<PathBuf, PipelineError> {
    let (root, target) = (&clean.dataset.root, &protected.dataset.root);
    let manifest = protected
        .manifest
        .as_ref()
        .ok_or_else(|| PipelineError::NoManifest {
            path: target.clone(),
        })?;
    let made_with = ProtectOptions::from_manifest(manifest, &target.join(MANIFEST_NAME))?;
    let control = ProtectOptions {
        method: Method::Random {
            noise: options.noise,
            epsilon: manifest.epsilon,
            seed: manifest.seed,
        },
        surrogate_weights: None,
        device: options.device,
        ..made_with
    };
    let name = format!("{} {}", clean.facts.sha256, control.to_json());
    let folder = work.join(format!("random-{}", &sha256_bytes(name.as_bytes())[..16]));
    if folder.join(MANIFEST_NAME).exists() {
        return Ok(folder);
    }
    if folder.exists() {
        // Without its manifest it is what an interrupted run left.
        fs::remove_dir_all(&folder).map_err(|source| PipelineError::Io {
            action: "remove the unfinished control",
            path: folder.clone(),
            source,
        })?;
    }
    protect(root, &folder, &control, &mut |event| {
        observer(EvaluateEvent::Control(event))
    })?;
    Ok(folder)
}
