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
    eval::{
        EvalError, VictimTrainer,
        record::{CellKey, Utility},
    },
    models::{Segmenter, read_weights},
    pipeline::PipelineError,
};

/// Cases that the loss of utility is measured on.
const CASES: usize = 16;

/// What is kept of an earlier run.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Kept {
    clean_dice: f64,
    protected_dice: f64,
}

/// The victims of the clean control whose weights should have been kept and were not.
pub(super) fn without_weights<'a>(
    context: &Context<'_>,
    cells: &'a [PlannedCell],
    store: &Store,
) -> Vec<&'a CellKey> {
    let kept = cells.iter().filter(|cell| keeps_weights(context, cell));
    let missing = kept.filter(|cell| !store.weights(&cell.hash).exists());
    missing.map(|cell| &cell.key).collect()
}

/// A network's scores on the same cases, clean and protected.
fn compared(
    scorer: &Scorer<'_>,
    network: &dyn Segmenter,
    [clean, protected]: [(&LabelledSet, &[Case]); 2],
) -> Result<Kept, PipelineError> {
    let score = |(set, cases): (&LabelledSet, &[Case])| -> Result<f64, PipelineError> {
        Ok(scorer.score(network, set, cases)?.mean_dice)
    };
    Ok(Kept {
        clean_dice: score(clean)?,
        protected_dice: score(protected)?,
    })
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
                let pair = [(clean, &twins[..]), (&named.set, &own)];
                let kept = compared(&scorer, &*trained.network(), pair)?;
                store.write(&name, &kept)?;
                kept
            }
        };
        all.push(Utility {
            network: cell.key.network.clone(),
            preprocessing: cell.key.preprocessing,
            augmentation: cell.key.augmentation,
            seed: cell.key.seed,
            cases: twins.len(),
            clean_dice: kept.clean_dice,
            protected_dice: kept.protected_dice,
        });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            EvaluateOptions,
            fixtures::{Thresholds, open, seen, write},
            preprocess::Preprocessor,
        },
        *,
    };
    use crate::eval::Preprocessing;

    /// The network sees everything in the clean files, and two of three voxels of label 2 in the others.
    #[test]
    fn clean_and_protected_scores_are_not_exchanged() {
        let folder = tempfile::tempdir().unwrap();
        let [clean, protected] = [("clean", 1..4), ("protected", 0..3)].map(|(name, column)| {
            let root = folder.path().join(name);
            write(&root, [1.0; 3], &[seen(column, 5)]);
            open(&root)
        });
        let device = EvaluateOptions::default().device.open().unwrap();
        let scorer = Scorer {
            preprocessor: &Preprocessor::fit(Preprocessing::Plain, &clean, [4; 3], None),
            classes: &clean.classes,
            patch: [6, 4, 4],
            device: &device,
            defence: None,
        };
        let pair = [&clean, &protected].map(|set| (set, &set.cases[..]));
        let kept = compared(&scorer, &Thresholds, pair).unwrap();
        assert_eq!(kept.clean_dice, 1.0);
        assert!((kept.protected_dice - (2.0 / 3.0 + 1.0) / 2.0).abs() < 1e-9);
    }
}
