use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use voxshield::{
    eval::record::Outcome,
    perturb::Event,
    pipeline::{EvaluateEvent, ProtectEvent, ScanEvent},
};

/// Progress on stderr; indicatif hides it where stderr is not a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    quiet: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = ProgressBar::new(0);
        bar.set_draw_target(if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        });
        // The template is a constant; were it wrong, the default style would do.
        let style = ProgressStyle::with_template(
            "{prefix:<10} {bar:30} {pos}/{len}  {elapsed}, {eta} left  {msg}",
        )
        .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self { bar, quiet }
    }

    /// A new phase.
    pub(crate) fn phase(&self, name: &'static str, total: usize) {
        self.bar.reset();
        self.bar.set_prefix(name);
        self.bar.set_message("");
        self.bar.set_length(total as u64);
        self.bar.set_position(0);
    }

    pub(crate) fn at(&self, done: usize, total: usize) {
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
    }

    pub(crate) fn message(&self, text: &str) {
        self.bar
            .set_message(crate::output::printable(text).into_owned());
    }

    /// A line above the bar, also where the bar is hidden.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| crate::output::note(text));
        }
    }

    /// A line that `--quiet` does not silence.
    pub(crate) fn warn(&self, text: &str) {
        self.bar.suspend(|| crate::output::note(text));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    pub(crate) fn protect(&self, event: &ProtectEvent<'_>) {
        match event {
            ProtectEvent::Scan(ScanEvent::Case { done, total }) => {
                if *done == 1 {
                    self.phase("reading", *total);
                }
                self.at(*done, *total);
            }
            ProtectEvent::Scan(ScanEvent::Warning(text)) | ProtectEvent::Warning(text) => {
                self.warn(&format!("warning: {text}"));
            }
            ProtectEvent::Scanned(scanned) => {
                self.note(&format!(
                    "{} layout: {} cases to protect, {} failed, {} skipped",
                    scanned.dataset.layout,
                    scanned.cases.len(),
                    scanned.failed.len(),
                    scanned.skipped.len()
                ));
                for failure in &scanned.failed {
                    self.warn(&format!("failed: {}: {}", failure.id, failure.reason));
                }
            }
            ProtectEvent::Train(Event::Step { done, total }) => {
                if *done == 1 {
                    self.phase("optimising", *total);
                }
                self.at(*done, *total);
            }
            ProtectEvent::Train(Event::RoundFinished(record)) => {
                let terms: Vec<String> = record
                    .terms
                    .iter()
                    .map(|(name, v)| format!("{name} {v:.3}"))
                    .collect();
                self.message(&format!(
                    "surrogate {:.3}, {}",
                    record.surrogate_loss,
                    terms.join(", ")
                ));
            }
            ProtectEvent::CaseStarted { id, done, total } => {
                if *done == 0 {
                    self.phase("writing", *total);
                }
                self.at(*done, *total);
                self.message(id);
            }
            ProtectEvent::Resumed { done, total } if done == total => {
                self.note(&format!(
                    "all {total} cases were finished by an earlier run"
                ));
            }
            ProtectEvent::Resumed { done, total } => {
                self.note(&format!("going on after {done} of {total} cases"));
            }
            ProtectEvent::CaseFailed(failure) => {
                self.warn(&format!("failed: {}: {}", failure.id, failure.reason));
            }
            _ => {}
        }
    }

    pub(crate) fn evaluate(&self, event: &EvaluateEvent<'_>) {
        match event {
            EvaluateEvent::Stage(name) => self.phase(name, 0),
            EvaluateEvent::Protect(event) => self.protect(event),
            EvaluateEvent::Note(text) => self.warn(&format!("note: {text}")),
            EvaluateEvent::Planned { cells, finished } => self.note(&format!(
                "{cells} victims to train, {finished} of them finished by an earlier run"
            )),
            EvaluateEvent::CellStarted { key, done, total } => {
                self.phase("victim", 0);
                self.message(&format!(
                    "{} of {total}: {}, {}@{}, defence {}, seed {}",
                    done + 1,
                    key.training_set,
                    key.network,
                    key.preprocessing.name(),
                    key.defence,
                    key.seed
                ));
            }
            EvaluateEvent::CellStep { done, total } => self.at(*done, *total),
            EvaluateEvent::CellFinished { cell, seconds_left } => {
                let key = &cell.key;
                let result = match &cell.outcome {
                    Outcome::Done(result) => format!(
                        "peak Dice {:.3}, final {:.3}, {:.0} s",
                        result.peak.mean_dice, result.last.mean_dice, result.seconds
                    ),
                    Outcome::Failed { reason } => format!("failed: {reason}"),
                };
                self.note(&format!(
                    "{}, {}@{}, {:?}, {}, seed {}: {result}; {:.0} min left",
                    key.training_set,
                    key.network,
                    key.preprocessing.name(),
                    key.augmentation,
                    key.defence,
                    key.seed,
                    seconds_left / 60.0
                ));
            }
            _ => {}
        }
    }
}
