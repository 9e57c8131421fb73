use std::{
    fs, io,
    path::{Path, PathBuf},
    thread,
    time::Instant,
};

use burn::tensor::Device;

use super::{
    CachedSource, Method, PipelineError, PreparedCase, ProtectOptions, ScanEvent, Scanned,
    lanes::Behind,
    scan::{ScannedCase, case_failure, scan},
    write::{ReadCase, create_parent, manifest_path, write_case},
};
use crate::{
    data::{
        CaseRecord, DataError, FailedCase, MANIFEST_NAME, Manifest, copy_file_atomic, is_nifti_name,
    },
    models::{NoiseGenerator, read_weights},
    perturb::{
        Bilevel, BilevelConfig, Budget, ClosedForm, CodeInput, Event, PerturbError, RandomNoise,
        SourceError, ahead, generate,
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
    /// The perturbation of a case is about to be computed. Those before it may still be on their way to the disk.
    CaseStarted {
        /// Its id.
        id: &'a str,
        /// Cases started before it.
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

    let (cases, mut failures) = write_cases(&scanned, &origin, output, options, &device, observer)?;
    let mut failed = scanned.failed.clone();
    failed.append(&mut failures);
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

pub(super) fn train(
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

/// The most cases that are being written at the same time.
const WRITERS: usize = 2;

/// Writes all cases: while the perturbation of one is computed, the next is read, and those before it are compressed, written
/// and checked. That is one case more at each of the two ends than in a plain loop, and [`WRITERS`] at most.
fn write_cases(
    scanned: &Scanned,
    origin: &Origin,
    output: &Path,
    options: &ProtectOptions,
    device: &Device,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<(Vec<CaseRecord>, Vec<FailedCase>), PipelineError> {
    let (dataset, epsilon) = (&scanned.dataset, options.method.epsilon());
    let write = |job: Result<(ReadCase<'_>, Vec<f32>), PipelineError>| {
        let (case, delta) = job?;
        write_case(dataset, case, delta, output, epsilon)
    };
    let total = scanned.cases.len();
    let mut outcomes = Outcomes::new(&scanned.cases);
    let read = scanned
        .cases
        .iter()
        .map(|case| ReadCase::open(dataset, case, options.support));
    ahead(read, |ready| {
        thread::scope(|scope| -> Result<(), PipelineError> {
            let mut writers = Behind::spawn(scope, WRITERS, &write);
            for (done, (ScannedCase { case, .. }, read)) in
                scanned.cases.iter().zip(ready).enumerate()
            {
                let id = &case.id;
                observer(ProtectEvent::CaseStarted { id, done, total });
                let job = read.and_then(|mut read| {
                    let start = Instant::now();
                    let delta = origin.delta(&read.prepared, &read.image, id, options, device)?;
                    read.spent += start.elapsed();
                    Ok((read, delta))
                });
                if let Some(outcome) = writers.send(job) {
                    outcomes.add(outcome, observer)?;
                }
            }
            while let Some(outcome) = writers.next() {
                outcomes.add(outcome, observer)?;
            }
            Ok(())
        })
    })?;
    Ok((outcomes.cases, outcomes.failed))
}

/// What became of the cases, in their order.
struct Outcomes<'a> {
    pending: std::slice::Iter<'a, ScannedCase>,
    cases: Vec<CaseRecord>,
    failed: Vec<FailedCase>,
}

impl<'a> Outcomes<'a> {
    fn new(cases: &'a [ScannedCase]) -> Self {
        Self {
            pending: cases.iter(),
            cases: Vec::with_capacity(cases.len()),
            failed: Vec::new(),
        }
    }

    /// The outcome of the next case; an error that all others would meet as well is returned.
    fn add(
        &mut self,
        outcome: Result<CaseRecord, PipelineError>,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<(), PipelineError> {
        let case = self.pending.next();
        match (outcome, case) {
            (Ok(record), _) => {
                observer(ProtectEvent::CaseFinished(&record));
                self.cases.push(record);
            }
            (Err(error), Some(case)) if !is_fatal(&error) => {
                let failure = case_failure(&case.case, &error);
                observer(ProtectEvent::CaseFailed(&failure));
                self.failed.push(failure);
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }
}

/// Where the deltas of a run come from.
pub(super) enum Origin {
    Drawn { noise: RandomNoise, seed: u64 },
    Coded { code: ClosedForm, seed: u64 },
    Learned(Box<NoiseGenerator>),
}

impl Origin {
    pub(super) fn delta(
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

/// An error if `output` is the dataset `root`, inside it, or around it. The output may not exist yet.
pub(super) fn check_apart(root: &Path, output: &Path) -> Result<(), PipelineError> {
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
    Ok(())
}

fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PipelineError + 'a {
    move |source| PipelineError::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

fn check_folders(root: &Path, output: &Path) -> Result<(), PipelineError> {
    check_apart(root, output)?;
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
