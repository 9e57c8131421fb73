use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde::Serialize;
use voxshield::{
    data::{CaseRecord, write_file_atomic},
    pipeline::{Preview, TimeEstimate, preview},
};

use super::protect::options;
use crate::{
    args::{Format, PreviewArgs},
    output::{self, Outcome},
    progress::Progress,
};

/// The result for machines.
#[derive(Serialize)]
struct Summary<'a> {
    picture: PathBuf,
    slice: usize,
    amplification: f64,
    rounds: Option<usize>,
    case: &'a CaseRecord,
    estimate: TimeEstimate,
}

pub(super) fn run(args: &PreviewArgs, format: Format, quiet: bool) -> anyhow::Result<Outcome> {
    ensure!(
        args.protection.save_generator.is_none(),
        "--save-generator: what a preview trains on one case protects no others; leave out, or pass it to `protect`"
    );
    let out = std::path::absolute(&args.out).context("the path of the picture")?;
    // Temporary files go where the picture goes.
    let folder = out.parent().unwrap_or(Path::new("."));
    let options = options(&args.protection)?;
    let progress = Progress::new(quiet);
    let time = Duration::from_secs(args.seconds);
    let found = preview(
        &args.dataset,
        &args.case,
        folder,
        &options,
        time,
        &mut |event| {
            progress.protect(&event);
        },
    );
    progress.finish();
    let found = found?;
    write_file_atomic(&out, &found.montage.joined().png()?)?;
    if format == Format::Json {
        output::json(&Summary {
            picture: args.out.clone(),
            slice: found.montage.slice,
            amplification: found.montage.amplification,
            rounds: found.rounds,
            case: &found.record,
            estimate: found.estimate,
        })?;
    } else {
        print(&found, &args.out);
    }
    Ok(Outcome::Done)
}

fn print(found: &Preview, out: &Path) {
    let Preview {
        montage, record, ..
    } = found;
    output::line(format!(
        "{}: case {}, slice {}: clean | protected | perturbation x {:.0}",
        out.display(),
        record.id,
        montage.slice,
        montage.amplification
    ));
    let psnr = record.psnr_db.map_or("-".into(), |v| format!("{v:.2} dB"));
    output::line(format!(
        "largest change {:.5}, {} of {} voxels of the support changed, PSNR {psnr}, SSIM {:.5}",
        record.achieved, record.changed_voxels, record.support_voxels, record.ssim
    ));
    match found.rounds {
        None => output::line("the method needs no training: the whole run writes this very file"),
        Some(rounds) => output::line(format!(
            "the method was trained for {rounds} round(s) on this case alone: it shows how visible the budget is, not how well it protects"
        )),
    }
    let estimate = &found.estimate;
    if let Some(training) = &estimate.training {
        output::line(format!(
            "a surrogate step takes {:.3} s (x {}), a noise step {:.3} s (x {})",
            training.surrogate_step,
            training.surrogate_steps,
            training.noise_step,
            training.noise_steps
        ));
    }
    output::line(format!(
        "whole run of {} cases: about {} ({:.3} s to read a case, twice, and {:.3} s to write one)",
        estimate.cases,
        duration(estimate.total),
        estimate.read_case,
        estimate.write_case
    ));
}

/// A duration in the unit that suits it.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
