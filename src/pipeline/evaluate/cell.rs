use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use super::{
    countermeasure::Countermeasure,
    plan::{Context, PlannedCell, clean_cases},
    purify::{Fitted, Undo},
    recompute::Recomputed,
    score::Scorer,
    store::Store,
    training::{Reading, phases},
};
use crate::{
    eval::{
        EvalError, VictimTrainer,
        record::{Cell, CellResult, CurvePoint, NO_DEFENCE, Outcome, Role, Scores},
    },
    models::write_weights,
    perturb::PatchSource,
    pipeline::PipelineError,
};

/// Trains and tests one victim. What goes wrong is its outcome: an error, or a panic of the backend,
/// such as a device without memory.
pub(super) fn run_cell(
    context: &Context<'_>,
    cell: &PlannedCell,
    store: &Store,
    step: &mut dyn FnMut(usize, usize),
) -> Cell {
    let outcome = match caught(|| train(context, cell, store, step)) {
        Ok(result) => Outcome::Done(Box::new(result)),
        Err(reason) => Outcome::Failed { reason },
    };
    Cell {
        key: cell.key.clone(),
        hash: cell.hash.clone(),
        outcome,
    }
}

/// The result, or what went wrong, a panic of the backend included.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, PipelineError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("the backend gave up: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

fn train(
    context: &Context<'_>,
    cell: &PlannedCell,
    store: &Store,
    step: &mut dyn FnMut(usize, usize),
) -> Result<CellResult, PipelineError> {
    let start = Instant::now();
    let own = &context.sets[cell.set].set;
    let countermeasure = Countermeasure::find(&cell.key.defence)?;
    let how = clean_cases(&countermeasure);
    let (before, cases) = phases(own, context.clean(), how, cell.key.seed)?;
    let device = &context.device;
    let undo: Option<Box<dyn Undo>> = match (&countermeasure, &context.sets[cell.set].pairs) {
        (Countermeasure::Purifier, Some(pairs)) => {
            let fitted = Fitted::new(pairs, own, &cell.config, store, device)?;
            Some(Box::new(fitted))
        }
        (Countermeasure::Recompute(how), _) => {
            Recomputed::new(own, *how, device)?.map(|recomputed| Box::new(recomputed) as _)
        }
        _ => None,
    };
    let reading = Reading {
        preprocessor: &cell.preprocessor,
        countermeasure: &countermeasure,
        classes: &own.classes,
        seed: cell.key.seed,
        undo: undo.as_deref(),
    };
    let sizes = [own.channels, own.classes.len().max(2)];
    let phases = if before.is_empty() { 1 } else { 2 };
    let total = phases * cell.config.steps;

    let mut trainer = VictimTrainer::new(&cell.config, sizes, &context.device)?;
    if !before.is_empty() {
        let mut source = reading.source(&before, None);
        while trainer.steps_done() < cell.config.steps {
            trainer.step(&mut source, None)?;
            step(trainer.steps_done(), total);
        }
        let weights = trainer.network().weights().map_err(EvalError::from)?;
        trainer =
            VictimTrainer::new(&cell.config, sizes, &context.device)?.with_weights(&weights)?;
    }

    let filter = match countermeasure.training() {
        Some(defence) => {
            let mut volumes = cases
                .iter()
                .map(|&(set, case)| reading.load(set, case, None));
            defence.fit(&mut volumes, cell.key.seed)?
        }
        None => None,
    };
    let mut source = reading.source(&cases, filter.as_deref());
    let done_before = total - cell.config.steps;
    let test = Test::new(context, cell, &countermeasure);
    let (trainer, curve, scores) = run(
        context,
        cell,
        (trainer, &mut source, &countermeasure),
        &test,
        !before.is_empty(),
        &mut |done| step(done_before + done, total),
    )?;
    if keeps_weights(context, cell) {
        let weights = trainer.network().weights().map_err(EvalError::from)?;
        write_weights(&weights, &store.weights(&cell.hash)).map_err(EvalError::from)?;
    }
    let (peak_step, peak) = scores.peak;
    Ok(CellResult {
        last: scores.last,
        peak,
        peak_step,
        curve,
        seconds: start.elapsed().as_secs_f64(),
    })
}

/// Whether the utility of protected volumes is measured with this network.
pub(super) fn keeps_weights(context: &Context<'_>, cell: &PlannedCell) -> bool {
    context.sets[cell.set].role == Role::Clean
        && cell.key.defence == NO_DEFENCE
        && cell.key.seed == context.options.training.seed
}

/// Scores on the clean test cases.
struct Test<'a> {
    context: &'a Context<'a>,
    scorer: Scorer<'a>,
}

impl<'a> Test<'a> {
    fn new(
        context: &'a Context<'a>,
        cell: &'a PlannedCell,
        countermeasure: &'a Countermeasure,
    ) -> Self {
        let own = &context.sets[cell.set].set;
        Self {
            context,
            scorer: Scorer {
                preprocessor: &cell.preprocessor,
                classes: &own.classes,
                patch: cell.config.patch,
                device: &context.device,
                defence: countermeasure
                    .at_test()
                    .then_some((countermeasure, own.ct.as_slice())),
            },
        }
    }

    fn score(&self, trainer: &VictimTrainer) -> Result<Scores, PipelineError> {
        let test = &self.context.test;
        self.scorer.score(&*trainer.network(), test, &test.cases)
    }
}

struct Ends {
    last: Scores,
    peak: (usize, Scores),
}

/// Trains to the last step, with a point of the curve every so often and at the end.
fn run(
    context: &Context<'_>,
    cell: &PlannedCell,
    (mut trainer, source, countermeasure): (VictimTrainer, &mut dyn PatchSource, &Countermeasure),
    test: &Test<'_>,
    pretrained: bool,
    step: &mut dyn FnMut(usize),
) -> Result<(VictimTrainer, Vec<CurvePoint>, Ends), PipelineError> {
    let (steps, every) = (cell.config.steps, context.options.test_every);
    let (mut curve, mut losses) = (Vec::new(), Vec::new());
    // Early stopping may keep what a first phase has learnt.
    let mut peak = match pretrained {
        true => Some((0, test.score(&trainer)?)),
        false => None,
    };
    loop {
        let done = trainer.steps_done();
        if done > 0 && (done == steps || done.is_multiple_of(every)) {
            let scores = test.score(&trainer)?;
            curve.push(CurvePoint {
                step: done,
                loss: losses.iter().sum::<f64>() / losses.len() as f64,
                dice: scores.mean_dice,
            });
            losses.clear();
            let best = match peak.take() {
                Some(best) if best.1.mean_dice >= scores.mean_dice => best,
                _ => (done, scores.clone()),
            };
            if done == steps {
                return Ok((
                    trainer,
                    curve,
                    Ends {
                        last: scores,
                        peak: best,
                    },
                ));
            }
            peak = Some(best);
        }
        let loss = trainer.step(source, countermeasure.training())?;
        losses.push(f64::from(loss));
        step(trainer.steps_done());
    }
}
