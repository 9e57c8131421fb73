use voxshield::pipeline::devices;

use crate::{
    args::Format,
    output::{self, Outcome},
};

pub(super) fn run(format: Format) -> anyhow::Result<Outcome> {
    let devices = devices();
    if format == Format::Json {
        output::json(&devices)?;
        return Ok(Outcome::Done);
    }
    let rows: Vec<Vec<String>> = devices
        .iter()
        .map(|device| {
            let state = if device.compiled {
                "ready".to_owned()
            } else {
                format!("build with --features {}", device.feature)
            };
            vec![device.name.to_owned(), state]
        })
        .collect();
    output::table(&["device", "in this build"], &rows);
    Ok(Outcome::Done)
}
