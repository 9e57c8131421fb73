use std::{
    path::Path,
    time::{Duration, Instant},
};

use burn::tensor::Device;
use serde::Serialize;

use super::{
    Method, NormalisationChoice, PipelineError, PreparedCase, ProtectEvent, ProtectOptions,
    Scanned, check_apart, check_clean,
    memory::Work,
    protect::{DeltaSlabs, Origin, OriginMaker},
    scan::{ScannedCase, scan_dataset},
    write::{ReadCase, write_case},
};
use crate::{
    data::{Case, CaseRecord, Dataset, Modality, Recipients, discover},
    eval::picture::{Montage, Subject},
    perturb::Event,
};

/// One case, protected on trial.
#[derive(Debug)]
#[non_exhaustive]
pub struct Preview {
    /// Its first channel: clean, protected, and the perturbation.
    pub montage: Montage,
    /// What the manifest would say of the case.
    pub record: CaseRecord,
    /// Rounds that the method was trained for, on this case alone; `None` for random noise, which is
    /// what the whole run writes.
    pub rounds: Option<usize>,
    /// The time of the whole run.
    pub estimate: TimeEstimate,
}

/// How long the whole run will take, from a few steps of this one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TimeEstimate {
    /// Labelled cases of the dataset.
    pub cases: usize,
    /// Seconds to read a case; the run reads each twice before it starts.
    pub read_case: f64,
    /// Seconds to make, write and check a case.
    pub write_case: f64,
    /// The optimisation; `None` for random noise.
    pub training: Option<TrainingEstimate>,
    /// Seconds of everything.
    pub total: f64,
}

/// The part of the optimisation in a [`TimeEstimate`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TrainingEstimate {
    /// Seconds of one step of the surrogate.
    pub surrogate_step: f64,
    /// Seconds of one step of the noise generator, or of one visit to a case.
    pub noise_step: f64,
    /// Steps of the surrogate in the whole run.
    pub surrogate_steps: usize,
    /// Such steps or visits in the whole run.
    pub noise_steps: usize,
}

impl TrainingEstimate {
    /// `[rounds, surrogate steps a round]`, and steps on the noise a round.
    fn new(
        [surrogate_step, noise_step]: [f64; 2],
        [rounds, surrogate_steps]: [usize; 2],
        noise_steps: usize,
    ) -> Self {
        Self {
            surrogate_step,
            noise_step,
            surrogate_steps: rounds * surrogate_steps,
            noise_steps: rounds * noise_steps,
        }
    }

    fn seconds(&self) -> f64 {
        self.surrogate_step * self.surrogate_steps as f64
            + self.noise_step * self.noise_steps as f64
    }
}

/// Protects one case of the dataset at `root` on trial, and estimates the time of the whole run.
///
/// Random noise is exactly that of the whole run. The optimised method is trained on this case alone,
/// for as many rounds as fit into `time` (one at least, after two short ones to measure): what it
/// shows is how visible the budget is, not how well the whole run protects. Intensity ranges are
/// those of the run, for which CT needs a pass over the whole dataset.
///
/// The protected file is written to a temporary folder within `scratch` and removed again.
///
/// # Errors
/// [`PipelineError::UnknownCase`] if there is no labelled case of that name, [`PipelineError::NoLabels`] if there is none at all,
/// [`PipelineError::PreviewInside`] if `scratch` is in the dataset, else as
/// [`protect`](super::protect).
pub fn preview(
    root: &Path,
    id: &str,
    scratch: &Path,
    options: &ProtectOptions,
    time: Duration,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Preview, PipelineError> {
    options.validate()?;
    let device = options.device.open()?;
    // A folder in `scratch` is written to, not `scratch` itself, which may hold the dataset.
    check_apart(root, &scratch.join("voxshield-preview")).map_err(|error| match error {
        PipelineError::OutputOverlaps { dataset, .. } => PipelineError::PreviewInside {
            folder: scratch.to_path_buf(),
            dataset,
        },
        error => error,
    })?;
    check_clean(root)?;
    let mut dataset = discover(root)?;
    if !options.labels.is_files() {
        dataset = dataset.without_need_of_labels();
    }
    let usable = |case: &&Case| case.label.is_some() || !options.labels.is_files();
    let cases = dataset.cases.iter().filter(usable).count();
    let start = Instant::now();
    let relevant = relevant(&dataset, id, options)?;
    let mut scanned = scan_dataset(relevant, options, Work::Protect(options), &mut |event| {
        observer(ProtectEvent::Scan(event))
    })?;
    let read_case = start.elapsed().as_secs_f64() / (2 * scanned.cases.len().max(1)) as f64;
    scanned.cases.retain(|scanned| scanned.case.id == id);
    let Some(case) = scanned.cases.first().cloned() else {
        let failure = scanned.failed.iter().find(|failure| failure.id == id);
        return Err(PipelineError::NoUsableCase {
            path: root.to_path_buf(),
            failed: 1,
            first: failure.map_or_else(|| "it cannot be read".into(), |f| f.reason.clone()),
        });
    };

    let (mut rounds, mut training) = (None, None);
    let origin = match options.method.common() {
        None => origin(
            &scanned,
            scratch,
            &options.method,
            options,
            &device,
            observer,
        )?,
        Some(config) => {
            let whole = [config.rounds, config.surrogate_steps];
            let noise_steps = match &options.method {
                // A visit to each.
                Method::SampleWise(_) => cases,
                _ => {
                    // As many cases as a batch has patches: every step is a full one, as in the whole run.
                    scanned.cases = vec![case.clone(); config.batch];
                    cases.div_ceil(config.batch)
                }
            };
            let run = |[rounds, surrogate_steps]: [usize; 2], observer: &mut Observer<'_>| {
                let mut method = options.method.clone();
                if let Some(config) = method.common_mut() {
                    (config.rounds, config.surrogate_steps) = (rounds, surrogate_steps);
                }
                origin(&scanned, scratch, &method, options, &device, observer)
            };
            let (origin, short, estimate) = timed(whole, noise_steps, time, observer, run)?;
            (rounds, training) = (Some(short), Some(estimate));
            origin
        }
    };
    let read = ReadCase::open(&dataset, &case, options)?;
    let deltas = origin.slabs(&read.prepared, read.ranges(), id, options, &device)?;
    let (montage, record) = written(&dataset, &case, read, deltas, scratch, options)?;
    let each = 2.0 * read_case + record.seconds;
    let optimising = training.map_or(0.0, |training| training.seconds());
    Ok(Preview {
        estimate: TimeEstimate {
            cases,
            read_case,
            write_case: record.seconds,
            training,
            total: each * cases as f64 + optimising,
        },
        montage,
        record,
        rounds,
    })
}

fn origin(
    scanned: &Scanned,
    scratch: &Path,
    method: &Method,
    options: &ProtectOptions,
    device: &Device,
    observer: &mut Observer<'_>,
) -> Result<Origin, PipelineError> {
    let maker = OriginMaker {
        scanned,
        options,
        device,
        scratch,
        state: None,
    };
    maker.origin(method, observer)
}

/// The part of a dataset that decides the case's intensity ranges: the case alone, or everything
/// where a channel is, or may be, normalised by the statistics of the dataset.
fn relevant(
    dataset: &Dataset,
    id: &str,
    options: &ProtectOptions,
) -> Result<Dataset, PipelineError> {
    let files = options.labels.is_files();
    let labelled = || (dataset.cases.iter()).filter(|case| case.label.is_some() || !files);
    if !labelled().any(|case| case.id == id) {
        let known: Vec<String> = labelled().map(|case| case.id.clone()).collect();
        let unlabelled = dataset.cases.len() + dataset.unlabelled.len();
        let root = dataset.root.clone();
        return Err(match known.is_empty() && unlabelled > 0 {
            true => PipelineError::NoLabels {
                path: root,
                cases: unlabelled,
            },
            false => PipelineError::UnknownCase {
                id: id.to_owned(),
                dataset: root,
                known,
            },
        });
    }
    let whole = match options.normalisation {
        NormalisationChoice::Ct => true,
        NormalisationChoice::Mri | NormalisationChoice::Window { .. } => false,
        // What nobody has said is guessed from all cases.
        NormalisationChoice::Auto => {
            let mut channels = dataset.channels.iter();
            channels.any(|channel| channel.modality != Some(Modality::Mri))
        }
    };
    let mut relevant = dataset.clone();
    if !whole {
        relevant.cases.retain(|other| other.id == id);
        relevant.problems.clear();
    }
    Ok(relevant)
}

type Observer<'a> = dyn FnMut(ProtectEvent<'_>) + 'a;

/// Optimises for as many rounds as fit into `time`, and estimates the whole run: `[rounds, surrogate steps a round]`, and so many
/// steps on the noise a round. Gives the rounds that were run, too.
fn timed(
    whole: [usize; 2],
    noise_steps: usize,
    time: Duration,
    observer: &mut Observer<'_>,
    mut run: impl FnMut([usize; 2], &mut Observer<'_>) -> Result<Origin, PipelineError>,
) -> Result<(Origin, usize, TrainingEstimate), PipelineError> {
    let start = Instant::now();
    let mut steps = [0.0; 2];
    // A round of a step each, twice: the first warms the device up, the second counts.
    for _ in 0..2 {
        let mut watch = Stopwatch::start();
        run([1, 1], &mut |event| {
            watch.see(&event);
            observer(event);
        })?;
        steps = watch.last_two();
    }
    let left = time.saturating_sub(start.elapsed()).as_secs_f64();
    let short = fitting(whole, steps, left);
    let origin = run(short, observer)?;
    let estimate = TrainingEstimate::new(steps, whole, noise_steps);
    Ok((origin, short[0], estimate))
}

/// As many rounds, and as many surrogate steps in each, as fit into the seconds that are left; one at least.
fn fitting(
    [rounds, surrogate_steps]: [usize; 2],
    [surrogate, noise]: [f64; 2],
    left: f64,
) -> [usize; 2] {
    // The casts saturate, and a float that is no number gives 0.
    let steps = ((left - noise) / surrogate) as usize;
    let steps = steps.clamp(1, surrogate_steps);
    let fit = (left / (steps as f64 * surrogate + noise)) as usize;
    [fit.clamp(1, rounds), steps]
}

/// Seconds from one step of the loop to the next.
struct Stopwatch {
    last: Instant,
    steps: Vec<f64>,
}

impl Stopwatch {
    fn start() -> Self {
        Self {
            last: Instant::now(),
            steps: Vec::new(),
        }
    }

    fn see(&mut self, event: &ProtectEvent<'_>) {
        match event {
            ProtectEvent::Train(Event::RoundStarted { .. }) => self.last = Instant::now(),
            ProtectEvent::Train(Event::Step { .. }) => {
                self.steps.push(self.last.elapsed().as_secs_f64());
                self.last = Instant::now();
            }
            _ => {}
        }
    }

    /// Of a round of one step each.
    fn last_two(&self) -> [f64; 2] {
        match self.steps[..] {
            [.., surrogate, noise] => [surrogate, noise],
            _ => [0.0; 2],
        }
    }
}

/// Writes the case to a temporary folder, reads it back, and draws it.
fn written(
    dataset: &Dataset,
    case: &ScannedCase,
    read: ReadCase<'_>,
    deltas: DeltaSlabs<'_>,
    scratch: &Path,
    options: &ProtectOptions,
) -> Result<(Montage, CaseRecord), PipelineError> {
    let folder = tempfile::Builder::new()
        .prefix(".voxshield-preview-")
        .tempdir_in(scratch)
        .map_err(PipelineError::io("create a temporary folder in", scratch))?;
    let epsilon = options.method.epsilon();
    let record = write_case(
        dataset,
        read,
        deltas,
        folder.path(),
        epsilon,
        &Recipients::default(),
    )?;
    let clean = PreparedCase::open(dataset, &case.case)?;
    let copy = Dataset {
        root: folder.path().to_path_buf(),
        ..dataset.clone()
    };
    let protected = PreparedCase::open(&copy, &case.case)?;
    let shape = clean.volume.shape();
    let voxels = shape.iter().product();
    let labels: Vec<u16> = match &clean.labels {
        Some(labels) => labels.values().collect(),
        None => vec![0; voxels],
    };
    let before = clean.normalised(&case.ranges);
    let after = protected.normalised(&case.ranges);
    let subject = Subject {
        clean: &before[..voxels],
        protected: &after[..voxels],
        labels: &labels,
        shape,
        spacing: clean.volume.spacing(),
    };
    let montage = Montage::new("preview", &case.case.id, &subject, epsilon)?;
    Ok((montage, record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_into_the_time_is_run() {
        let fit = |left| fitting([20, 10], [0.5, 1.0], left);
        // A whole round is 10 surrogate steps and a noise step: 6 s.
        assert_eq!(fit(0.0), [1, 1]);
        assert_eq!(fit(3.0), [1, 4]);
        assert_eq!(fit(6.0), [1, 10]);
        assert_eq!(fit(12.5), [2, 10]);
        assert_eq!(fit(1e9), [20, 10]);
    }

    #[test]
    fn the_estimate_counts_the_steps_of_the_whole_run() {
        // 20 rounds of 10 surrogate steps and of 9 cases in batches of 4.
        let estimate = TrainingEstimate::new([0.5, 1.0], [20, 10], 9_usize.div_ceil(4));
        assert_eq!((estimate.surrogate_steps, estimate.noise_steps), (200, 60));
        assert_eq!(estimate.seconds(), 160.0);
    }
}
