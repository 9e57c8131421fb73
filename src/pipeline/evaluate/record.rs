use super::{EVALUATION_REVISION, plan::Context};
use crate::eval::record::{
    Cell, EvaluationRecord, EvaluationSettings, Quality, Summary, TrainingSet,
};

/// What was asked for and what was found, as plain data.
pub(super) fn record(
    context: &Context<'_>,
    cells: Vec<Cell>,
    quality: Vec<Quality>,
    notes: Vec<String>,
) -> EvaluationRecord {
    let options = context.options;
    let mut networks: Vec<String> = Vec::new();
    let mut preprocessing = Vec::new();
    for victim in &options.victims {
        if !networks.contains(&victim.network) {
            networks.push(victim.network.clone());
        }
        if !preprocessing.contains(&victim.preprocessing) {
            preprocessing.push(victim.preprocessing);
        }
    }
    let training_sets = context.sets.iter().map(|named| {
        let manifest = named.set.manifest.as_ref();
        TrainingSet {
            name: named.name.clone(),
            role: named.role,
            facts: named.set.facts.clone(),
            epsilon: manifest.map(|m| m.epsilon),
            support: manifest.map(|m| m.support.clone()),
            method: manifest.map(|m| m.method.to_string()),
        }
    });
    let results = cells.iter().filter_map(|cell| cell.outcome.result());
    EvaluationRecord {
        format: EvaluationRecord::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        revision: EVALUATION_REVISION,
        settings: EvaluationSettings {
            networks,
            width: options.width(),
            preprocessing,
            augmentations: options.augmentations.clone(),
            defences: context.defences.clone(),
            defend_controls: options.defend_controls,
            noise: options.noise,
            seeds: (0..options.seeds)
                .map(|s| options.training.seed.wrapping_add(s))
                .collect(),
            steps: options.training.steps,
            test_every: options.test_every,
            batch: options.training.batch,
            patch: options.training.patch,
            grid: options.grid,
            target_spacing: options.target_spacing,
            optimiser: options.optimiser(),
            precision: options.training.precision,
            checkpointing: options.training.checkpointing,
            device: options.device.to_string(),
        },
        training_sets: training_sets.collect(),
        test: context.test.facts.clone(),
        label_names: context
            .test
            .dataset
            .labels
            .iter()
            .map(|(v, n)| (*v, n.clone()))
            .collect(),
        summary: Summary::of(&cells),
        seconds: results.map(|result| result.seconds).sum(),
        cells,
        quality,
        notes,
    }
}
