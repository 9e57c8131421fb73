use std::{
    fs, io,
    path::{Path, PathBuf},
};

use burn::tensor::Device;

use super::{
    CachedSource, Method, PipelineError, PreparedCase, ProtectOptions, ScanEvent, Scanned,
    scan::{case_failure, scan},
    write::{create_parent, manifest_path, write_case},
};
use crate::{
    data::{
        CaseRecord, DataError, FailedCase, MANIFEST_NAME, Manifest, copy_file_atomic, is_nifti_name,
    },
    models::{NoiseGenerator, read_weights},
    perturb::{
        Bilevel, BilevelConfig, Budget, ClosedForm, CodeInput, Event, PerturbError, RandomNoise,
        SourceError, generate,
    },
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
    /// A case is about to be written.
    CaseStarted {
        /// Its id.
        id: &'a str,
        /// Cases finished so far.
        done: usize,
        /// Cases in all.
        total: usize,
    },
    /// A case is written and checked.
    CaseFinished(&'a CaseRecord),
    /// A case failed; the others go on.
    CaseFailed(&'a FailedCase),
    /// Something to show.
    Warning(String),
}

/// Protects the dataset at `root` into the new folder `output` and returns the manifest, which is
/// also written there as `voxshield.json`.
///
/// A case that cannot be read or protected is listed in the manifest's `failed` and is absent from
/// the output; the others are protected all the same. Unlabelled cases are listed in `skipped`.
///
/// # Errors
/// [`PipelineError`] for a job that cannot be done at all: bad options, overlapping folders, no
/// usable case, a full disk. What was finished before stays, without a manifest.
pub fn protect(
    root: &Path,
    output: &Path,
    options: &ProtectOptions,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Manifest, PipelineError> {
    options.validate()?;
    let device = options.device.open()?;
    check_folders(root, output)?;
    let epsilon = options.method.epsilon();
    let scanned = scan(
        root,
        options.normalisation,
        options.support,
        epsilon,
        &mut |event| {
            observer(ProtectEvent::Scan(event));
        },
    )?;
    observer(ProtectEvent::Scanned(&scanned));
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
    fs::create_dir_all(output).map_err(|source| PipelineError::Io {
        action: "create the output folder",
        path: output.to_path_buf(),
        source,
    })?;
    let origin = match &options.method {
        Method::Random { noise, seed, .. } => Origin::Drawn {
            noise: *noise,
            seed: *seed,
        },
        Method::ClosedForm { code, seed, .. } => Origin::Coded {
            code: *code,
            seed: *seed,
        },
        Method::Voxshield(config) => Origin::Learned(Box::new(train(
            &scanned, config, options, &device, observer,
        )?)),
    };

    let mut failed = scanned.failed.clone();
    let mut cases = Vec::with_capacity(scanned.cases.len());
    let total = scanned.cases.len();
    for (done, case) in scanned.cases.iter().enumerate() {
        observer(ProtectEvent::CaseStarted {
            id: &case.case.id,
            done,
            total,
        });
        let mut make = |prepared: &PreparedCase, image: &[f32]| {
            origin.delta(prepared, image, &case.case.id, options, &device)
        };
        match write_case(
            &scanned.dataset,
            case,
            output,
            options.support,
            epsilon,
            &mut make,
        ) {
            Ok(record) => {
                observer(ProtectEvent::CaseFinished(&record));
                cases.push(record);
            }
            Err(error) if is_fatal(&error) => return Err(error),
            Err(error) => {
                let failure = case_failure(&case.case, &error);
                observer(ProtectEvent::CaseFailed(&failure));
                failed.push(failure);
            }
        }
    }
    let mut skipped = scanned.skipped.clone();
    copy_auxiliary(&scanned, output, &mut skipped, observer)?;
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
        failed,
        skipped,
    };
    manifest.write_atomic(&output.join(MANIFEST_NAME))?;
    Ok(manifest)
}

fn train(
    scanned: &Scanned,
    config: &BilevelConfig,
    options: &ProtectOptions,
    device: &Device,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<NoiseGenerator, PipelineError> {
    let mut source = CachedSource::new(scanned.cases.len(), |index| {
        let case = &scanned.cases[index];
        let load = || -> Result<_, PipelineError> {
            let prepared = PreparedCase::open(&scanned.dataset, &case.case)?;
            let image = prepared.normalised(&case.ranges);
            let support = prepared.support(options.support, &image)?;
            Ok(prepared.training_volume(image, support, &scanned.classes))
        };
        load().map_err(|error| Box::new(error) as SourceError)
    });
    let mut bilevel = Bilevel::new(
        config.clone(),
        scanned.channels,
        scanned.classes.len(),
        device,
    )?;
    if let Some(weights) = &options.surrogate_weights {
        let weights = read_weights(&weights.path).map_err(PerturbError::from)?;
        bilevel = bilevel.with_surrogate_weights(&weights)?;
    }
    let trained = bilevel.run(&mut source, &mut |event| {
        observer(ProtectEvent::Train(event))
    })?;
    Ok(trained.generator)
}

/// Where the deltas of a run come from.
enum Origin {
    Drawn { noise: RandomNoise, seed: u64 },
    Coded { code: ClosedForm, seed: u64 },
    Learned(Box<NoiseGenerator>),
}

impl Origin {
    fn delta(
        &self,
        prepared: &PreparedCase,
        image: &[f32],
        id: &str,
        options: &ProtectOptions,
        device: &Device,
    ) -> Result<Vec<f32>, PipelineError> {
        let (channels, shape) = (prepared.volume.channels(), prepared.volume.shape());
        Ok(match self {
            Self::Drawn { noise, seed } => {
                // A stream of its own for each case, independent of the order of the cases.
                let seed = seed.wrapping_add(stream(id));
                let budget = Budget::new(options.method.epsilon())?;
                noise.sample(budget, channels, shape.iter().product(), seed)?
            }
            Self::Coded { code, seed } => {
                let labels = prepared.label_values();
                let input = CodeInput {
                    labels: &labels,
                    shape,
                    seed: *seed,
                };
                code.delta(&input, Budget::new(options.method.epsilon())?, channels)?
            }
            Self::Learned(generator) => {
                generate(generator, image, channels, shape, options.tiles, device)?
            }
        })
    }
}

/// FNV-1a of a case id.
fn stream(id: &str) -> u64 {
    id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Errors that the next case would meet as well.
fn is_fatal(error: &PipelineError) -> bool {
    let full = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        )
    };
    match error {
        PipelineError::Io { .. } => true,
        PipelineError::Data(DataError::Io { source, .. }) => full(source),
        _ => false,
    }
}

fn check_folders(root: &Path, output: &Path) -> Result<(), PipelineError> {
    let io = |action, path: &Path| {
        let path = path.to_path_buf();
        move |source| PipelineError::Io {
            action,
            path,
            source,
        }
    };
    if !root.exists() {
        // The layout search words this better than canonicalize does.
        crate::data::discover(root)?;
    }
    let dataset = root.canonicalize().map_err(io("open the dataset", root))?;
    let target = resolve(output).map_err(io("resolve the output folder", output))?;
    if target.starts_with(&dataset) || dataset.starts_with(&target) {
        return Err(PipelineError::OutputOverlaps {
            output: output.to_path_buf(),
            dataset: root.to_path_buf(),
        });
    }
    match fs::read_dir(output) {
        Ok(entries) => match entries.count() {
            0 => Ok(()),
            _ => Err(PipelineError::OutputNotEmpty {
                path: output.to_path_buf(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io("open the output folder", output)(error)),
    }
}

/// The absolute path of something that may not exist yet: its nearest existing ancestor decides
/// about symbolic links.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut missing = Vec::new();
    let mut known = absolute.as_path();
    loop {
        match known.canonicalize() {
            Ok(mut found) => {
                found.extend(missing.iter().rev());
                return Ok(found);
            }
            Err(error) => match (known.file_name(), known.parent()) {
                (Some(name), Some(parent)) if error.kind() == io::ErrorKind::NotFound => {
                    missing.push(name);
                    known = parent;
                }
                _ => return Err(error),
            },
        }
    }
}

/// Copies what belongs to the dataset but to no case (dataset.json, licences); an image that no
/// case claims is never copied unprotected.
fn copy_auxiliary(
    scanned: &Scanned,
    output: &Path,
    skipped: &mut Vec<FailedCase>,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<(), PipelineError> {
    for relative in &scanned.dataset.auxiliary {
        let is_manifest = relative.as_os_str() == MANIFEST_NAME;
        let is_image = relative
            .file_name()
            .is_some_and(|name| is_nifti_name(&name.to_string_lossy()));
        if is_manifest || is_image {
            let path = manifest_path(relative);
            let reason = "belongs to no case: not copied to the output".to_owned();
            observer(ProtectEvent::Warning(format!("{path}: {reason}")));
            skipped.push(FailedCase {
                id: String::new(),
                path,
                reason,
            });
            continue;
        }
        let target = output.join(relative);
        create_parent(&target)?;
        copy_file_atomic(&scanned.dataset.root.join(relative), &target)?;
    }
    Ok(())
}
