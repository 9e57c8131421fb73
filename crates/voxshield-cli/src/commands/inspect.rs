use std::path::Path;

use voxshield::pipeline::{Inspection, inspect};

use crate::{
    args::Format,
    output::{self, Outcome},
};

pub(super) fn run(path: &Path, epsilon: f64, format: Format) -> anyhow::Result<Outcome> {
    let inspection = inspect(path, epsilon)?;
    let good = !matches!(&inspection, Inspection::Dataset { problems, .. } if !problems.is_empty());
    if format == Format::Json {
        output::json(&inspection)?;
        return Ok(Outcome::of(good));
    }
    match inspection {
        Inspection::File(file) => {
            let [i, j, k, c] = file.dims;
            output::line(format!("dimensions   {i} x {j} x {k}, {c} channel(s)"));
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
            output::line(format!(
                "epsilon      {} (in stored steps, as MRI)",
                file.epsilon_stored
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
                "cases     {} usable, {} unusable",
                cases.len(),
                problems.len()
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
                        case.epsilon_stored
                            .clone()
                            .unwrap_or_else(|| "by dataset".into()),
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
                "epsilon in steps",
            ];
            output::table(&header, &rows);
            for (id, reason) in problems {
                output::line(format!("unusable: {id}: {reason}"));
            }
            for caution in cautions {
                output::line(format!("warning: {caution}"));
            }
            warn(&warnings);
        }
    }
    Ok(Outcome::of(good))
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
