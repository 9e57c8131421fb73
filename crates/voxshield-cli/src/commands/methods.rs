use serde::Serialize;
use voxshield::perturb::{METHODS, PerturbationMethod, Strength, VictimDice};

use crate::{
    args::Format,
    output::{self, Outcome},
};

/// A method as JSON.
#[derive(Serialize)]
struct Row {
    name: &'static str,
    title: &'static str,
    source: &'static str,
    needs: &'static str,
    strength: Option<Strength>,
}

pub(super) fn run(format: Format) -> anyhow::Result<Outcome> {
    if format == Format::Json {
        let rows: Vec<Row> = METHODS.iter().map(Row::from).collect();
        output::json(&rows)?;
        return Ok(Outcome::Done);
    }
    let cells: Vec<Vec<String>> = METHODS.iter().map(cells).collect();
    let headings = [
        "method",
        "plain",
        "augmented",
        "support",
        "needs",
        "what it does",
        "source",
    ];
    output::table(&headings, &cells);
    let (unet, con_res_net) = (Strength::CLEAN_UNET, Strength::CLEAN_CON_RES_NET);
    output::line("");
    output::line(format!(
        "plain, augmented: Dice on clean cases of victims that were trained on files protected with it, epsilon 16/255; of U-Net and ConResNet the better one, \
         which on clean files reach {:.3}, {:.3} and {:.3}, {:.3}. Lower is stronger. At the default of 4/255 none of those that were tried has an effect on such victims, which take patches at random places. docs/results.md has the protocol.",
        unet.plain, unet.augmented, con_res_net.plain, con_res_net.augmented
    ));
    Ok(Outcome::Done)
}

impl From<&PerturbationMethod> for Row {
    fn from(method: &PerturbationMethod) -> Self {
        Self {
            name: method.name,
            title: method.title,
            source: method.source,
            needs: method.needs.as_str(),
            strength: method.strength,
        }
    }
}

fn cells(method: &PerturbationMethod) -> Vec<String> {
    let dice = |of: fn(VictimDice) -> f32| {
        let known = method.strength.map(|strength| of(strength.worst()));
        known.map_or_else(|| "-".into(), |dice| format!("{dice:.3}"))
    };
    vec![
        method.name.into(),
        dice(|worst| worst.plain),
        dice(|worst| worst.augmented),
        method
            .strength
            .map_or("-", |strength| strength.support.name())
            .into(),
        method.needs.as_str().into(),
        method.title.into(),
        method.source.into(),
    ]
}
