use serde::Serialize;
use voxshield::{
    models::{ARCHITECTURES, ModelError, NetworkSpec},
    pipeline::{DeviceChoice, devices},
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
    /// Absent where no such network can be built.
    parameters: Option<usize>,
    /// Absent where none fits the patch, too.
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
    // What is printed is the same on all devices.
    let compiled = devices().into_iter().find(|device| device.compiled);
    let choice = compiled.map_or(Ok(DeviceChoice::Cpu), |device| {
        device.name.parse::<DeviceChoice>()
    })?;
    let device = choice.open()?;
    let rows: Vec<Row> = ARCHITECTURES
        .iter()
        .map(|architecture| {
            let network = architecture.init(&spec, 0, &device);
            let [depth, height, width] = spec.patch;
            let shape = [1, spec.in_channels, depth, height, width];
            let fits = match &network {
                Ok(network) => network.check_input(&shape),
                Err(error) => Err(error.clone()),
            };
            let size_multiple = match &network {
                Ok(network) => Some(network.size_multiple()),
                // UNETR is built for one size, of whole tokens.
                Err(ModelError::NotAMultiple {
                    what: "input_size",
                    divisor,
                    ..
                }) => Some([*divisor; 3]),
                Err(_) => None,
            };
            let built = network.as_ref().ok();
            Row {
                name: architecture.name,
                title: architecture.title,
                source: architecture.source,
                parameters: built.map(|network| network.parameter_count()),
                flops: built
                    .filter(|_| fits.is_ok())
                    .map(|network| network.flops(spec.patch)),
                size_multiple,
                refused: fits.err().map(|error| error.to_string()),
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
