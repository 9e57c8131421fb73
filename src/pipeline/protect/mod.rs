mod auxiliary;
mod cases;
mod deltas;
mod folders;
mod maker;
mod origin;
mod reasons;
mod slabs;
mod state;

use std::path::Path;

use self::{
    auxiliary::copy_auxiliary,
    cases::{finished_cases, write_cases},
    folders::{check_free, check_outside},
    reasons::published,
    state::{RunState, completed},
};
pub(super) use self::{
    folders::{check_apart, check_clean, check_folders},
    maker::OriginMaker,
    origin::Origin,
    slabs::DeltaSlabs,
    state::STATE_FOLDER,
};
use super::{
    Method, PipelineError, ProtectOptions, ScanEvent, Scanned, memory::Work, scan::scan,
    verify::folder_problems,
};
use crate::{
    data::{CaseRecord, FailedCase, MANIFEST_NAME, Manifest},
    perturb::Event,
};

/// What [`protect`] reports while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProtectEvent<'a> {
    /// The dataset is being read.
    Scan(ScanEvent),
    /// The dataset was read: usable, failed and skipped cases are known.
    Scanned(&'a Scanned),
    /// The optimiser.
    Train(&'a Event),
    /// The perturbation of a case is about to be computed. Those before it may still be on their way to the disk.
    CaseStarted {
        /// Its id.
        id: &'a str,
        /// Cases started before it.
        done: usize,
        /// Cases in all.
        total: usize,
    },
    /// An interrupted run goes on: so many cases are finished.
    Resumed {
        /// Finished cases.
        done: usize,
        /// Cases in all.
        total: usize,
    },
    /// A case is written and checked; cases finish or fail in their order.
    CaseFinished(&'a CaseRecord),
    /// A case failed; the others go on.
    CaseFailed(&'a FailedCase),
    /// Something to show.
    Warning(String),
}

/// Protects the dataset at `root` into the new folder `output` and returns the manifest, which is
/// also written there as `voxshield.json`; of a shard, the manifest of its cases, which is not written.
///
/// A case that cannot be read or protected is listed in the manifest's `failed` and is absent from
/// the output; the others are protected all the same. Unlabelled cases are listed in `skipped`.
///
/// # Errors
/// [`PipelineError`] for a job that cannot be done at all: bad options, overlapping folders, no
/// usable case, a full disk. What was finished before stays, without a manifest; the same call with
/// [`ProtectOptions::resume`] goes on from there, and writes what an undisturbed run would have written.
pub fn protect(
    root: &Path,
    output: &Path,
    options: &ProtectOptions,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Manifest, PipelineError> {
    options.validate()?;
    let device = options.device.open()?;
    check_apart(root, output)?;
    check_clean(root)?;
    if let Some(manifest) = finished(root, output, options, observer)? {
        return Ok(manifest);
    }
    if let Some(target) = &options.save_generator {
        check_outside(target.path(), &[root, output])?;
    }
    let epsilon = options.method.epsilon();
    let scanned = scan(root, options, Work::Protect(options), &mut |event| {
        observer(ProtectEvent::Scan(event));
    })?;
    observer(ProtectEvent::Scanned(&scanned));
    if let Some(cases) = scanned.unlabelled() {
        return Err(PipelineError::NoLabels {
            path: root.to_path_buf(),
            cases,
        });
    }
    if scanned.cases.is_empty() {
        return Err(PipelineError::NoUsableCase {
            path: root.to_path_buf(),
            failed: scanned.failed.len(),
            first: scanned
                .failed
                .first()
                .or(scanned.skipped.first())
                .map_or_else(|| "the dataset has no case".into(), |f| f.reason.clone()),
        });
    }
    // Later cases need not have every label that a generator was trained with.
    if !matches!(options.method, Method::SavedGenerator(_)) {
        options.label_weights.check(&scanned.classes)?;
    }
    let Some(mut state) = RunState::begin(output, options, &scanned)? else {
        let manifest = finished(root, output, options, observer)?;
        return manifest.ok_or_else(|| PipelineError::OutputNotEmpty {
            path: output.to_path_buf(),
        });
    };
    let total = (0..scanned.cases.len())
        .filter(|&at| options.shard.is_none_or(|shard| shard.has(at)))
        .count();
    let done = state.done.len();
    if done > 0 {
        observer(ProtectEvent::Resumed { done, total });
    }
    let mut target = options.save_generator.clone();
    // With nothing to write, and nobody who wants the generator, there is no need of one.
    let origin = match done < total || target.is_some() {
        false => None,
        true => {
            let maker = OriginMaker {
                scanned: &scanned,
                options,
                device: &device,
                scratch: state.folder(),
                state: Some(state.training()),
            };
            match maker.origin(&options.method, observer) {
                Ok(origin) => Some(origin),
                Err(error) => {
                    state.abandon(output);
                    return Err(error);
                }
            }
        }
    };
    if let (Some(target), Some(origin)) = (&mut target, &origin) {
        target.write(origin, options, &scanned)?;
    }
    let options = &ProtectOptions {
        save_generator: target,
        ..options.clone()
    };
    let (cases, mut failures) = match &origin {
        None => (finished_cases(&scanned, &state), Vec::new()),
        Some(origin) => write_cases(
            &scanned, origin, output, options, &device, &mut state, observer,
        )?,
    };
    // What it keeps on the disk goes before the manifest comes.
    drop(origin);
    let mut failed = scanned.failed.clone();
    failed.append(&mut failures);
    let mut skipped = scanned.skipped.clone();
    let others = match options.shard {
        Some(_) => None,
        None => Some(copy_auxiliary(&scanned, output, &mut skipped, observer)?),
    };
    let folders = [scanned.dataset.root.as_path(), output];
    let manifest = Manifest {
        format: Manifest::FORMAT,
        program: "voxshield".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        layout: scanned.dataset.layout.into(),
        method: options.to_json(),
        epsilon,
        support: options.support.name().into(),
        seed: options.method.seed(),
        device: options.device.to_string(),
        normalisation: scanned.normalisation.clone(),
        cases,
        failed: published(failed, folders),
        skipped: published(skipped, folders),
        others,
    };
    if options.shard.is_some() {
        return Ok(manifest);
    }
    // Each case was compared when it was written; now the folder as a whole, as `verify` does it.
    let problems = folder_problems(Some(&scanned.dataset), &manifest, output)?;
    if !problems.is_empty() {
        return Err(PipelineError::UnsafeOutput {
            path: output.to_path_buf(),
            problems: problems.join("; "),
        });
    }
    state.forget()?;
    manifest.write_atomic(&output.join(MANIFEST_NAME))?;
    state.complete()?;
    Ok(manifest)
}

/// The manifest of an output that is complete already; an error if it can be neither begun nor gone on with.
fn finished(
    root: &Path,
    output: &Path,
    options: &ProtectOptions,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Option<Manifest>, PipelineError> {
    let manifest = completed(root, output, options)?;
    match &manifest {
        None => check_free(output, options.resume)?,
        Some(manifest) => {
            let done = manifest.cases.len();
            observer(ProtectEvent::Resumed { done, total: done });
        }
    }
    Ok(manifest)
}
