use std::path::{Path, PathBuf};

use voxshield::{
    eval::{
        self, Augmentation, VictimConfig,
        record::{CellKey, EvaluationRecord, Role, Spread, SummaryRow, WorstCase},
    },
    pipeline::{EvaluateOptions, EvaluatePaths, evaluate},
};

use crate::{
    args::{Augment, EvaluateArgs, Format, Optimiser},
    output::{self, Outcome},
    progress::Progress,
};

pub(super) fn run(args: &EvaluateArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let paths = EvaluatePaths {
        protected: args.protected.clone(),
        clean: args.clean.clone(),
        test: args.test.clone(),
        attacker: args.attacker.clone(),
        compare: args.compare.clone(),
        work: args
            .work
            .clone()
            .unwrap_or_else(|| work_folder(&args.protected)),
    };
    let progress = Progress::new(quiet);
    let record = evaluate(&paths, &options(args), &mut |event| {
        progress.evaluate(&event)
    });
    progress.finish();
    let record = record?;
    if format == Format::Json {
        output::json(&record)?;
    } else {
        print(&record);
        output::line(format!(
            "report.html, evaluation.json and the finished victims are in {}",
            paths.work.display()
        ));
    }
    let failed = record
        .cells
        .iter()
        .any(|cell| cell.outcome.result().is_none());
    Ok(Outcome::of(!failed))
}

fn work_folder(protected: &Path) -> PathBuf {
    let absolute = std::path::absolute(protected).unwrap_or_else(|_| protected.to_path_buf());
    let name = absolute.file_name().unwrap_or_default().to_string_lossy();
    PathBuf::from(format!("{name}-evaluation"))
}

fn options(args: &EvaluateArgs) -> EvaluateOptions {
    EvaluateOptions {
        victims: args.victims.clone(),
        augmentations: match args.augment {
            Augment::None => vec![Augmentation::None],
            Augment::NnUnet => vec![Augmentation::NnUnet],
            Augment::Both => vec![Augmentation::None, Augmentation::NnUnet],
        },
        defences: args.defences.clone(),
        defend_controls: args.defend_controls,
        seeds: args.seeds,
        training: VictimConfig {
            width: args.width.into(),
            patch: args.patch,
            batch: args.batch,
            steps: args.steps,
            optimiser: match args.optimiser {
                Optimiser::Adam => eval::Optimiser::Adam,
                Optimiser::Sgd => eval::Optimiser::Sgd,
            },
            learning_rate: args.learning_rate,
            seed: args.seed,
            precision: args.compute.precision.unwrap_or_default(),
            checkpointing: args.compute.checkpointing,
            ..VictimConfig::narrow()
        },
        test_every: args.test_every.unwrap_or_else(|| args.steps.div_ceil(6)),
        target_spacing: args.target_spacing,
        grid: args.grid,
        noise: args.noise,
        retry_failed: args.retry_failed,
        max_memory: args.max_memory,
        device: args.device,
        ..EvaluateOptions::default()
    }
}

pub(super) fn print(record: &EvaluationRecord) {
    output::line(format!(
        "Dice on {} clean test cases, mean +- standard deviation over {} seed(s) of the victims; peak = early stop on the test cases, peak LABEL = that label at the same step",
        record.test.cases,
        record.settings.seeds.len()
    ));
    let labels: Vec<u16> = labels(record);
    let names: Vec<String> = labels.iter().map(|label| format!("peak {label}")).collect();
    let mut header = vec![
        "training set",
        "victim",
        "augmentation",
        "defence",
        "peak",
        "final",
    ];
    header.extend(names.iter().map(String::as_str));
    header.push("failed");
    let rows: Vec<Vec<String>> = record
        .summary
        .rows
        .iter()
        .map(|row| cells(record, row, &labels))
        .collect();
    output::table(&header, &rows);
    qualities(record);
    for cell in &record.cells {
        if let voxshield::eval::record::Outcome::Failed { reason } = &cell.outcome {
            output::line(format!(
                "failed: {}, seed {}: {reason}",
                victim(&cell.key),
                cell.key.seed
            ));
        }
    }
    for note in &record.notes {
        output::line(format!("note: {note}"));
    }
    headline(record);
}

fn labels(record: &EvaluationRecord) -> Vec<u16> {
    let mut results = record.cells.iter().filter_map(|cell| cell.outcome.result());
    results.next().map_or_else(Vec::new, |r| {
        r.last.labels.iter().map(|l| l.label).collect()
    })
}

fn cells(record: &EvaluationRecord, row: &SummaryRow, labels: &[u16]) -> Vec<String> {
    let mut cells = vec![
        row.key.training_set.clone(),
        format!("{}@{}", row.key.network, row.key.preprocessing.name()),
        augmentation(row.key.augmentation).to_owned(),
        row.key.defence.clone(),
        spread(row.peak),
        spread(row.last),
    ];
    let of_row = |key: &CellKey| {
        CellKey {
            seed: row.key.seed,
            ..key.clone()
        } == row.key
    };
    for label in labels {
        let scores = record
            .cells
            .iter()
            .filter(|cell| of_row(&cell.key))
            .filter_map(|cell| {
                let peak = &cell.outcome.result()?.peak;
                peak.labels.iter().find(|score| score.label == *label)?.dice
            });
        cells.push(Spread::of(scores).map_or_else(|| "-".into(), |s| format!("{:.3}", s.mean)));
    }
    cells.push(row.failed.to_string());
    cells
}

fn spread(spread: Option<Spread>) -> String {
    match spread {
        None => "-".to_owned(),
        Some(spread) if spread.count == 1 => format!("{:.3}", spread.mean),
        Some(spread) => format!("{:.3} +- {:.3}", spread.mean, spread.sd),
    }
}

fn augmentation(augmentation: Augmentation) -> &'static str {
    match augmentation {
        Augmentation::None => "none",
        Augmentation::NnUnet => "nnU-Net",
    }
}

fn qualities(record: &EvaluationRecord) {
    let number = |value: Option<f64>, digits: usize| {
        value.map_or_else(|| "-".to_owned(), |v| format!("{v:.digits$}"))
    };
    for quality in &record.quality {
        let shift: Vec<String> = quality
            .shift
            .iter()
            .map(|s| format!("{:.3} (largest {:.3}) {}", s.mean, s.largest, s.unit))
            .collect();
        output::line(format!(
            "{}: PSNR {} dB (labelled voxels {}; with the range between the clean volume's percentiles {}), SSIM {:.5} (labelled voxels {}), mean change {}",
            quality.training_set,
            number(quality.psnr_db, 2),
            number(quality.psnr_roi_db, 2),
            number(quality.psnr_percentiles_db, 2),
            quality.ssim,
            number(quality.ssim_roi, 5),
            shift.join(", ")
        ));
        for utility in &quality.utility {
            output::line(format!(
                "  a {}@{} (augmentation {}, seed {}) trained on clean files scores {:.3} on {} of its own training cases, {:.3} on them protected",
                utility.network,
                utility.preprocessing.name(),
                augmentation(utility.augmentation),
                utility.seed,
                utility.clean_dice,
                utility.cases,
                utility.protected_dice
            ));
        }
        if let Some(detector) = &quality.detector {
            output::line(format!(
                "  local energy tells the label's voxels with AUC {:.3} (clean: {:.3}), the changed ones with {}",
                detector.label_auc,
                detector.clean_label_auc,
                number(detector.support_auc, 3)
            ));
        }
    }
}

/// The owner's worst case, beside the controls.
fn headline(record: &EvaluationRecord) {
    for role in [Role::Clean, Role::Random, Role::Other, Role::Protected] {
        for set in record.training_sets.iter().filter(|set| set.role == role) {
            let own = |worst: &&WorstCase| worst.training_set == set.name;
            if let Some(worst) = record.summary.worst.iter().find(own) {
                output::line(worst_case(worst, role));
            }
            if let Some(worst) = record.summary.worst_with_clean.iter().find(own) {
                output::line(format!(
                    "  with clean cases too: peak Dice {} by {}; part of it is what these clean cases teach (clean-only)",
                    spread(Some(worst.peak)),
                    victim(&worst.peak_by)
                ));
            }
        }
    }
}

fn worst_case(worst: &WorstCase, role: Role) -> String {
    let what = match role {
        Role::Protected => "WORST CASE of",
        _ => "best victim of",
    };
    format!(
        "{what} {}: peak Dice {} by {}; final {} by {} ({} victims compared, {} failed)",
        worst.training_set,
        spread(Some(worst.peak)),
        victim(&worst.peak_by),
        spread(Some(worst.last)),
        victim(&worst.last_by),
        worst.compared,
        worst.failed
    )
}

fn victim(key: &CellKey) -> String {
    format!(
        "{}@{}, augmentation {}, defence {}",
        key.network,
        key.preprocessing.name(),
        augmentation(key.augmentation),
        key.defence
    )
}
