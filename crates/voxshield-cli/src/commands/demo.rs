use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use serde::Serialize;
use voxshield::{
    data::{Manifest, PhantomConfig, write_phantom_dataset},
    eval::{Augmentation, VictimConfig},
    perturb::{BilevelConfig, RandomNoise, Support},
    pipeline::{DeviceChoice, Method, ProtectOptions, TrialResult, protect, trial, verify},
};

use crate::{
    args::{DemoArgs, Format},
    output::{self, Outcome},
    progress::Progress,
};

const SHAPE: [usize; 3] = [32, 32, 32];
const TRAIN_CASES: u64 = 16;
const TEST_CASES: u64 = 8;

/// The victims of one training set under one augmentation.
#[derive(Serialize)]
struct Row {
    training_set: String,
    augmentation: Augmentation,
    results: Vec<TrialResult>,
}

#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    rows: Vec<Row>,
    psnr_db: Vec<Option<f64>>,
    ssim: Vec<Option<f64>>,
    largest_delta: Vec<Option<f64>>,
    epsilon: f64,
    verified: bool,
    seconds: f64,
}

pub(super) fn run(args: &DemoArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let folder = args.output.clone().unwrap_or_else(free_folder);
    let progress = Progress::new(quiet);
    progress.note(&format!("phantom datasets go to {}", folder.display()));
    let [clean, test, random, protected] =
        ["clean", "test", "random", "protected"].map(|name| folder.join(name));
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    write_phantom_dataset(&clean, TRAIN_CASES, &PhantomConfig::new(SHAPE, args.seed))?;
    // Another seed is another set of phantoms.
    write_phantom_dataset(
        &test,
        TEST_CASES,
        &PhantomConfig::new(SHAPE, args.seed.wrapping_add(1_000_003)),
    )?;

    let method = |method| ProtectOptions {
        method,
        support: Support::Roi,
        device: args.device,
        ..ProtectOptions::default()
    };
    let noise = Method::Random {
        noise: RandomNoise::Uniform,
        epsilon: args.epsilon,
        seed: args.seed,
    };
    let voxshield = Method::Voxshield(BilevelConfig {
        epsilon: args.epsilon,
        seed: args.seed,
        ..BilevelConfig::compact()
    });
    let mut manifests = Vec::new();
    for (output, chosen) in [(&random, noise), (&protected, voxshield)] {
        let manifest = protect(&clean, output, &method(chosen), &mut |event| {
            progress.protect(&event)
        })?;
        manifests.push(manifest);
    }
    let verified = verify(&clean, &protected, &mut |_| {})?.is_kept();

    let config = VictimConfig {
        seed: args.seed,
        steps: 240,
        ..VictimConfig::narrow()
    };
    let sets = [
        ("clean", &clean),
        ("random noise", &random),
        ("protected", &protected),
    ];
    let mut rows = Vec::new();
    for (name, path) in sets {
        rows.push(victims(
            name,
            path,
            &test,
            &config,
            1,
            args.device,
            &progress,
        )?);
    }
    progress.finish();
    let of = |f: fn(&Manifest) -> f64| -> Vec<Option<f64>> {
        std::iter::once(None)
            .chain(manifests.iter().map(|m| Some(f(m))))
            .collect()
    };
    let report = Report {
        folder,
        rows,
        psnr_db: of(|m| mean(m.cases.iter().filter_map(|c| c.psnr_db))),
        ssim: of(|m| mean(m.cases.iter().map(|c| c.ssim))),
        largest_delta: of(|m| m.cases.iter().map(|c| c.achieved).fold(0.0, f64::max)),
        epsilon: args.epsilon,
        verified,
        seconds: start.elapsed().as_secs_f64(),
    };
    if format == Format::Json {
        output::json(&report)?;
    } else {
        print(&report);
    }
    Ok(Outcome::of(report.verified))
}

fn print(report: &Report) {
    let cells = |values: &[Option<f64>], digits: usize| -> Vec<String> {
        let cell = |v: &Option<f64>| v.map_or_else(|| "-".into(), |v| format!("{v:.digits$}"));
        values.iter().map(cell).collect()
    };
    let extra = [
        ("PSNR dB", cells(&report.psnr_db, 2)),
        ("SSIM", cells(&report.ssim, 5)),
        ("max |delta|", cells(&report.largest_delta, 5)),
    ];
    output::line(format!(
        "Dice on {TEST_CASES} clean phantoms of a victim trained on {TRAIN_CASES} written files (1 seed):"
    ));
    table(&report.rows, &extra);
    output::line(format!(
        "epsilon {:.5}; verify: {}; {:.0} s; files in {}",
        report.epsilon,
        if report.verified {
            "every promise kept"
        } else {
            "a promise is broken"
        },
        report.seconds,
        report.folder.display()
    ));
    output::line("One seed on phantoms shows the mechanism, not the protection of your data.");
}

/// Trains `seeds` victims on one training set.
fn victims(
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
fn table(rows: &[Row], extra: &[(&str, Vec<String>)]) {
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
                format!("{:.3}", mean(scores.iter().copied())),
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
                    format!("{:.3}", mean(of_label.iter().copied()))
                });
            }
            cells.extend(extra.iter().map(|(_, column)| column[index].clone()));
            cells
        })
        .collect();
    output::table(&header, &cells);
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(s, n), v| (s + v, n + 1));
    sum / count.max(1) as f64
}

fn free_folder() -> PathBuf {
    std::iter::once("voxshield-demo".to_owned())
        .chain((2..).map(|i| format!("voxshield-demo-{i}")))
        .map(PathBuf::from)
        .find(|path| !path.exists())
        .unwrap_or_else(|| PathBuf::from("voxshield-demo"))
}
