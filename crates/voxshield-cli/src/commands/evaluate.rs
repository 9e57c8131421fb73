use std::path::{Path, PathBuf};

use serde::Serialize;
use voxshield::{
    eval::{Augmentation, VictimConfig},
    pipeline::{DeviceChoice, TrialResult, trial},
};

use crate::{
    args::{Augment, EvaluateArgs, Format},
    output::{self, Outcome},
    progress::Progress,
};

/// The victims of one training set under one augmentation.
#[derive(Serialize)]
pub(super) struct Row {
    pub(super) training_set: String,
    pub(super) augmentation: Augmentation,
    pub(super) results: Vec<TrialResult>,
}

pub(super) fn run(args: &EvaluateArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let mut sets: Vec<(String, PathBuf)> = args.compare.clone();
    sets.push(("protected".into(), args.protected.clone()));
    let augmentations: &[Augmentation] = match args.augment {
        Augment::None => &[Augmentation::None],
        Augment::NnUnet => &[Augmentation::NnUnet],
        Augment::Both => &[Augmentation::None, Augmentation::NnUnet],
    };
    let config = VictimConfig {
        patch: args.patch,
        steps: args.steps,
        network: args.network.clone(),
        width: args.width.into(),
        precision: args.compute.precision,
        checkpointing: args.compute.checkpointing,
        ..VictimConfig::narrow()
    };
    let progress = Progress::new(quiet);
    let mut rows = Vec::new();
    for &augmentation in augmentations {
        let config = VictimConfig {
            augmentation,
            ..config.clone()
        };
        for (name, path) in &sets {
            rows.push(victims(
                name,
                path,
                &args.test,
                &config,
                args.seeds,
                args.device,
                &progress,
            )?);
        }
    }
    progress.finish();
    if format == Format::Json {
        output::json(&rows)?;
    } else {
        table(&rows, &[]);
    }
    Ok(Outcome::Done)
}

/// Trains `seeds` victims on one training set.
pub(super) fn victims(
    name: &str,
    path: &Path,
    test: &Path,
    config: &VictimConfig,
    seeds: u64,
    device: DeviceChoice,
    progress: &Progress,
) -> anyhow::Result<Row> {
    let mut results = Vec::new();
    for seed in 0..seeds {
        let config = VictimConfig {
            seed: config.seed + seed,
            ..config.clone()
        };
        progress.phase("victim", config.steps);
        progress.message(format!("{name}, seed {seed}"));
        results.push(trial(
            path,
            test,
            &config,
            device,
            &mut |done, total, _| progress.at(done, total),
        )?);
    }
    Ok(Row {
        training_set: name.to_owned(),
        augmentation: config.augmentation,
        results,
    })
}

/// Prints the rows; `extra` is a header and one cell a row.
pub(super) fn table(rows: &[Row], extra: &[(&str, Vec<String>)]) {
    let labels: Vec<u16> = rows
        .first()
        .and_then(|row| row.results.first())
        .map_or_else(Vec::new, |r| r.labels.iter().map(|l| l.label).collect());
    let names: Vec<String> = labels.iter().map(|label| format!("Dice {label}")).collect();
    let mut header = vec!["training set", "augmentation", "Dice", "(seeds)"];
    header.extend(names.iter().map(String::as_str));
    header.extend(extra.iter().map(|(name, _)| *name));
    let cells: Vec<Vec<String>> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let scores: Vec<f64> = row.results.iter().map(|r| r.mean_dice).collect();
            let augmentation = match row.augmentation {
                Augmentation::None => "none",
                Augmentation::NnUnet => "nnU-Net",
            };
            let each: Vec<String> = scores.iter().map(|s| format!("{s:.3}")).collect();
            let mut cells = vec![
                row.training_set.clone(),
                augmentation.to_owned(),
                format!("{:.3}", mean(&scores)),
                each.join(" "),
            ];
            for label in &labels {
                let of_label: Vec<f64> = row
                    .results
                    .iter()
                    .filter_map(|r| r.labels.iter().find(|l| l.label == *label)?.dice)
                    .collect();
                cells.push(if of_label.is_empty() {
                    "-".into()
                } else {
                    format!("{:.3}", mean(&of_label))
                });
            }
            cells.extend(extra.iter().map(|(_, column)| column[index].clone()));
            cells
        })
        .collect();
    output::table(&header, &cells);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
