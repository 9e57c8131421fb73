use anyhow::ensure;
use voxshield::{
    data::IntensityRange,
    pipeline::{Inspection, ProtectOptions, inspect},
};

use crate::{
    args::{Format, InspectArgs},
    output::{self, Outcome},
};

pub(super) fn run(args: &InspectArgs, format: Format) -> anyhow::Result<Outcome> {
    ensure!(
        args.labels.is_none() || !args.path.is_file(),
        "--labels: {} is one file, which has none; leave out, or inspect its dataset",
        args.path.display()
    );
    let options = ProtectOptions {
        normalisation: args.normalise.unwrap_or_default(),
        labels: args.labels.unwrap_or_default(),
        ..ProtectOptions::of("voxshield", args.epsilon, 0)?
    };
    let inspection = inspect(&args.path, &options)?;
    let good = match &inspection {
        Inspection::File(_) => true,
        Inspection::Dataset {
            cases, problems, ..
        } => problems.is_empty() && !cases.is_empty(),
    };
    if format == Format::Json {
        output::json(&inspection)?;
        return Ok(Outcome::of(good));
    }
    match inspection {
        Inspection::File(file) => {
            let [i, j, k, c] = file.dims;
            output::line(format!(
                "dimensions   {i} x {j} x {k} (in the order of the file), {c} channel(s)"
            ));
            output::line(format!("datatype     {}", file.datatype));
            output::line(format!(
                "scaling      slope {}, intercept {}",
                file.scaling[0], file.scaling[1]
            ));
            output::line(format!("axes         {}", file.axes));
            let [d, h, w] = file.spacing;
            output::line(format!(
                "spacing      {d:.4} x {h:.4} x {w:.4} mm (depth, height, width)"
            ));
            output::line(format!(
                "intensities  {} to {}",
                file.extent[0], file.extent[1]
            ));
            if !file.ranges.is_empty() {
                output::line(format!(
                    "range        {} becomes 0..1, as {}",
                    ranges(&file.ranges),
                    file.normalisation
                ));
            }
            output::line(format!(
                "epsilon      in stored steps, as {}: {}",
                file.normalisation, file.epsilon_stored
            ));
            output::line(format!(
                "header       {} bytes before the voxels",
                file.header_bytes
            ));
            warn(&file.warnings);
        }
        Inspection::Dataset {
            layout,
            channels,
            labels,
            cases,
            problems,
            skipped,
            cautions,
            warnings,
        } => {
            output::line(format!("layout    {layout}"));
            output::line(format!("channels  {}", channels.join(", ")));
            if !labels.is_empty() {
                let names: Vec<String> = labels.iter().map(|(v, n)| format!("{v} {n}")).collect();
                output::line(format!("labels    {}", names.join(", ")));
            }
            output::line(format!(
                "cases     {} usable, {} unusable, {} left out",
                cases.len(),
                problems.len(),
                skipped.len()
            ));
            let rows: Vec<Vec<String>> = cases
                .iter()
                .map(|case| {
                    vec![
                        case.id.clone(),
                        case.shape.map(|n| n.to_string()).join("x"),
                        case.datatype.clone(),
                        case.axes.clone(),
                        format!("{:?}", case.modality[0]),
                        case.classes.len().to_string(),
                        format!("{:.2} %", 100.0 * case.foreground),
                        ranges(&case.ranges),
                        case.epsilon_stored.clone(),
                    ]
                })
                .collect();
            let header = [
                "case",
                "depth x h x w",
                "datatype",
                "axes",
                "modality",
                "classes",
                "foreground",
                "range",
                "epsilon in steps",
            ];
            output::table(&header, &rows);
            for (id, reason) in problems {
                output::line(format!("unusable: {id}: {reason}"));
            }
            for (id, reason) in skipped {
                output::line(format!("left out: {id}: {reason}"));
            }
            for caution in cautions {
                output::line(format!("warning: {caution}"));
            }
            warn(&warnings);
        }
    }
    Ok(Outcome::of(good))
}

/// What becomes 0 and what becomes 1 in each channel, in file units.
fn ranges(ranges: &[IntensityRange]) -> String {
    let number = |value: f64| match value.abs() < 100.0 {
        true => format!("{value:.4}"),
        false => format!("{value:.1}"),
    };
    let ends = |range: &IntensityRange| format!("{} to {}", number(range.lo), number(range.hi));
    ranges.iter().map(ends).collect::<Vec<_>>().join(", ")
}

/// What may identify somebody; only the first, since a dataset has often the same in every file.
fn warn(warnings: &[String]) {
    const SHOWN: usize = 20;
    for warning in warnings.iter().take(SHOWN) {
        output::line(format!("may identify: {warning}"));
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(SHOWN) {
        output::line(format!("may identify: {more} more; --format json has all"));
    }
}
