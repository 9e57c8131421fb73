use serde::Serialize;
use voxshield::perturb::METHODS;

use crate::{
    args::Format,
    output::{self, Outcome},
};

#[derive(Serialize)]
struct Row {
    name: &'static str,
    title: &'static str,
    source: &'static str,
    needs: &'static str,
}

pub(super) fn run(format: Format) -> anyhow::Result<Outcome> {
    let rows: Vec<Row> = METHODS
        .iter()
        .map(|method| Row {
            name: method.name,
            title: method.title,
            source: method.source,
            needs: method.needs.as_str(),
        })
        .collect();
    if format == Format::Json {
        output::json(&rows)?;
    } else {
        let cells: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                [row.name, row.needs, row.title, row.source]
                    .map(String::from)
                    .to_vec()
            })
            .collect();
        output::table(&["method", "needs", "what it does", "source"], &cells);
    }
    Ok(Outcome::Done)
}
