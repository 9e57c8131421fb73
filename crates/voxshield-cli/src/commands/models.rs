use serde::Serialize;
use voxshield::{
    models::{ARCHITECTURES, ModelError, NetworkSpec},
    pipeline::DeviceChoice,
};

use crate::{
    args::{Format, ModelsArgs},
    output::{self, Outcome},
};

#[derive(Serialize)]
struct Row {
    name: &'static str,
    title: &'static str,
    source: &'static str,
    /// Absent where no such network fits the patch.
    parameters: Option<usize>,
    flops: Option<u64>,
    size_multiple: Option<[usize; 3]>,
    refused: Option<String>,
}

pub(super) fn run(args: &ModelsArgs, format: Format) -> anyhow::Result<Outcome> {
    let spec = NetworkSpec {
        in_channels: args.channels,
        classes: args.classes,
        patch: args.patch,
        spacing: args.spacing,
        width: args.width.into(),
    };
    let device = DeviceChoice::Cpu.open()?;
    let rows: Vec<Row> = ARCHITECTURES
        .iter()
        .map(|architecture| {
            let measured = architecture.init(&spec, 0, &device).and_then(|network| {
                let [depth, height, width] = spec.patch;
                network.check_input(&[1, spec.in_channels, depth, height, width])?;
                let flops = network.flops(spec.patch);
                Ok::<_, ModelError>((network.parameter_count(), flops, network.size_multiple()))
            });
            let known = measured.as_ref().ok();
            Row {
                name: architecture.name,
                title: architecture.title,
                source: architecture.source,
                parameters: known.map(|k| k.0),
                flops: known.map(|k| k.1),
                size_multiple: known.map(|k| k.2),
                refused: measured.as_ref().err().map(ToString::to_string),
            }
        })
        .collect();
    if format == Format::Json {
        output::json(&rows)?;
    } else {
        print(&rows, spec.patch);
    }
    Ok(Outcome::Done)
}

fn print(rows: &[Row], [depth, height, width]: [usize; 3]) {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let number = |value: Option<f64>, unit: f64| {
                value.map_or_else(|| "-".to_owned(), |v| format!("{:.2}", v / unit))
            };
            let multiple = row.size_multiple.map_or_else(
                || "-".to_owned(),
                |[d, h, w]| match d == h && h == w {
                    true => d.to_string(),
                    false => format!("{d},{h},{w}"),
                },
            );
            vec![
                row.name.to_owned(),
                number(row.parameters.map(|n| n as f64), 1e6),
                number(row.flops.map(|n| n as f64), 1e9),
                multiple,
                row.title.to_owned(),
            ]
        })
        .collect();
    let flops = format!("GFLOP at {depth}x{height}x{width}");
    let header = [
        "network",
        "M parameters",
        &flops,
        "multiple of",
        "what it is",
    ];
    output::table(&header, &cells);
    for row in rows {
        if let Some(reason) = &row.refused {
            output::line(format!("{}: {reason}", row.name));
        }
    }
}
