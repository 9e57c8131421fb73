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
    eval::{EvalError, record::Utility},
    models::{Architecture, Network, NetworkSpec, read_weights},
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
    let twins: Vec<Case> = clean
        .cases
        .iter()
        .filter(|case| named.set.cases.iter().any(|twin| twin.id == case.id))
        .take(CASES)
        .cloned()
        .collect();
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
                };
                let network = restore(context, cell, clean, &path)?;
                let score = |set| scorer.score(&*network, set, &twins).map(|s| s.mean_dice);
                let kept = Kept {
                    clean_dice: score(clean)?,
                    protected_dice: score(&named.set)?,
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

fn restore(
    context: &Context<'_>,
    cell: &PlannedCell,
    clean: &LabelledSet,
    path: &std::path::Path,
) -> Result<Box<dyn Network>, PipelineError> {
    let spec = NetworkSpec {
        in_channels: clean.channels,
        classes: clean.classes.len().max(2),
        patch: cell.config.patch,
        spacing: cell.config.spacing,
        width: cell.config.width,
    };
    let weights = read_weights(path).map_err(EvalError::from)?;
    let architecture = Architecture::find(&cell.config.network).map_err(EvalError::from)?;
    let network = architecture
        .init(&spec, 0, &context.device)
        .map_err(EvalError::from)?;
    Ok(network.with_weights(&weights).map_err(EvalError::from)?)
}
