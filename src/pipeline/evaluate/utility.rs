use serde::{Deserialize, Serialize};

use super::{
    cell::keeps_weights,
    labelled::LabelledSet,
    plan::{Context, NamedSet, PlannedCell},
    score::Scorer,
    store::Store,
};
use crate::{
    data::{Case, sha256_bytes},
    eval::{EvalError, VictimTrainer, record::Utility},
    models::read_weights,
    pipeline::PipelineError,
};

/// Cases that the loss of utility is measured on.
const CASES: usize = 16;

/// What is kept of an earlier run.
#[derive(Serialize, Deserialize)]
struct Kept {
    clean_dice: f64,
    protected_dice: f64,
}

/// How much Dice networks that were trained on the clean set lose on the same cases once they are
/// protected. One entry for each victim of the clean control whose weights were kept.
pub(super) fn utility(
    context: &Context<'_>,
    cells: &[PlannedCell],
    named: &NamedSet,
    clean: &LabelledSet,
    store: &Store,
) -> Result<Vec<Utility>, PipelineError> {
    // The files of a case may be called otherwise in another set.
    let (twins, own): (Vec<Case>, Vec<Case>) = (clean.cases.iter())
        .filter_map(|case| Some((case.clone(), named.set.case(&case.id)?.clone())))
        .take(CASES)
        .unzip();
    let mut all = Vec::new();
    for cell in cells.iter().filter(|cell| keeps_weights(context, cell)) {
        let path = store.weights(&cell.hash);
        if twins.is_empty() || !path.exists() {
            continue;
        }
        let name = format!("{} {}", cell.hash, named.set.facts.sha256);
        let name = format!("utility-{}", sha256_bytes(name.as_bytes()));
        let kept = match store.read(&name) {
            Some(kept) => kept,
            None => {
                let scorer = Scorer {
                    preprocessor: &cell.preprocessor,
                    classes: &clean.classes,
                    patch: cell.config.patch,
                    device: &context.device,
                    defence: None,
                };
                let sizes = [clean.channels, clean.classes.len().max(2)];
                let weights = read_weights(&path).map_err(EvalError::from)?;
                let trained = VictimTrainer::new(&cell.config, sizes, &context.device)?;
                let trained = trained.with_weights(&weights)?;
                let score = |set, cases: &[Case]| -> Result<f64, PipelineError> {
                    Ok(scorer.score(&*trained.network(), set, cases)?.mean_dice)
                };
                let kept = Kept {
                    clean_dice: score(clean, &twins)?,
                    protected_dice: score(&named.set, &own)?,
                };
                store.write(&name, &kept)?;
                kept
            }
        };
        all.push(Utility {
            network: cell.key.network.clone(),
            preprocessing: cell.key.preprocessing,
            augmentation: cell.key.augmentation,
            clean_dice: kept.clean_dice,
            protected_dice: kept.protected_dice,
        });
    }
    Ok(all)
}
