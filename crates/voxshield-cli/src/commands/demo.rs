use std::{path::PathBuf, time::Instant};

use anyhow::Context;
use serde::Serialize;
use voxshield::{
    data::{PhantomConfig, write_phantom_dataset},
    eval::{VictimConfig, record::EvaluationRecord},
    perturb::{BilevelConfig, SurrogateConfig},
    pipeline::{EvaluateOptions, EvaluatePaths, Method, ProtectOptions, evaluate, protect, verify},
};

use super::evaluate::print;
use crate::{
    args::{DemoArgs, Format},
    output::{self, Outcome},
    progress::Progress,
};

const SHAPE: [usize; 3] = [32, 32, 32];
const TRAIN_CASES: u64 = 16;
const TEST_CASES: u64 = 8;
/// Fewer leave a victim untrained.
const VICTIM_STEPS: usize = 240;

#[derive(Serialize)]
struct Report {
    folder: PathBuf,
    verified: bool,
    seconds: f64,
    evaluation: EvaluationRecord,
}

pub(super) fn run(args: &DemoArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    let start = Instant::now();
    let folder = args.output.clone().unwrap_or_else(free_folder);
    let progress = Progress::new(quiet);
    progress.note(&format!("phantom datasets go to {}", folder.display()));
    let [clean, test, protected, work] =
        ["clean", "test", "protected", "evaluation"].map(|name| folder.join(name));
    std::fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    write_phantom_dataset(&clean, TRAIN_CASES, &PhantomConfig::new(SHAPE, args.seed))?;
    // Another seed is another set of phantoms.
    write_phantom_dataset(
        &test,
        TEST_CASES,
        &PhantomConfig::new(SHAPE, args.seed.wrapping_add(1_000_003)),
    )?;

    let options = ProtectOptions {
        method: Method::Bilevel(BilevelConfig {
            common: SurrogateConfig {
                epsilon: args.epsilon,
                seed: args.seed,
                ..SurrogateConfig::compact()
            },
            ..BilevelConfig::compact()
        }),
        device: args.device,
        ..ProtectOptions::default()
    };
    protect(&clean, &protected, &options, &mut |event| {
        progress.protect(&event)
    })?;
    let verified = verify(&clean, &protected, &mut |_| {})?.is_kept();
    let paths = EvaluatePaths {
        protected,
        clean: Some(clean),
        test,
        attacker: None,
        compare: Vec::new(),
        work,
    };
    let options = EvaluateOptions {
        training: VictimConfig {
            seed: args.seed,
            steps: VICTIM_STEPS,
            ..VictimConfig::narrow()
        },
        device: args.device,
        ..EvaluateOptions::default()
    };
    let evaluation = evaluate(&paths, &options, &mut |event| progress.evaluate(&event))?;
    progress.finish();
    let report = Report {
        folder,
        verified,
        seconds: start.elapsed().as_secs_f64(),
        evaluation,
    };
    match format {
        Format::Json => output::json(&report)?,
        Format::Text => print_report(&report),
    }
    Ok(Outcome::of(report.verified))
}

fn print_report(report: &Report) {
    print(&report.evaluation);
    let promise = match report.verified {
        true => "every promise kept",
        false => "a promise is broken",
    };
    output::line(format!(
        "verify: {promise}; {:.0} s; files and evaluation/report.html in {}",
        report.seconds,
        report.folder.display()
    ));
    output::line("One seed on phantoms shows the mechanism, not the protection of your data.");
}

fn free_folder() -> PathBuf {
    std::iter::once("voxshield-demo".to_owned())
        .chain((2..).map(|i| format!("voxshield-demo-{i}")))
        .map(PathBuf::from)
        .find(|path| !path.exists())
        .unwrap_or_else(|| PathBuf::from("voxshield-demo"))
}
