use askama::Template;

use super::format::{distinct, same_victim, spread, victim};
use crate::record::{EvaluationRecord, Role, SummaryRow};

/// Peak Dice of every victim under every defence, for one training set.
#[derive(Template)]
#[template(path = "report/heat_map.html")]
pub(super) struct HeatMap {
    set: String,
    /// Controls are folded.
    control: bool,
    defences: Vec<String>,
    rows: Vec<HeatRow>,
}

struct HeatRow {
    victim: String,
    cells: Vec<Option<HeatCell>>,
}

struct HeatCell {
    dice: String,
    exact: String,
    background: String,
    ink: &'static str,
    worst: bool,
}

/// One map a training set.
pub(super) fn heat_maps(record: &EvaluationRecord) -> Vec<HeatMap> {
    let maps = record.training_sets.iter().filter_map(|set| {
        let own = || {
            record
                .summary
                .rows
                .iter()
                .filter(|row| row.key.training_set == set.name)
        };
        let mut victims: Vec<&SummaryRow> = Vec::new();
        for row in own() {
            if victims
                .iter()
                .all(|known| !same_victim(&known.key, &row.key))
            {
                victims.push(row);
            }
        }
        let defences = distinct(own().map(|row| row.key.defence.clone()));
        let worst = record
            .summary
            .worst
            .iter()
            .find(|w| w.training_set == set.name);
        let cell = |row: &SummaryRow| {
            let peak = row.peak?;
            let by_worst = worst.is_some_and(|worst| {
                same_victim(&worst.peak_by, &row.key) && worst.peak_by.defence == row.key.defence
            });
            Some(HeatCell::of(peak.mean, spread(&peak), by_worst))
        };
        let rows: Vec<HeatRow> = victims
            .iter()
            .map(|first| HeatRow {
                victim: victim(&first.key),
                cells: defences
                    .iter()
                    .map(|defence| {
                        let mut of_victim = own().filter(|r| same_victim(&r.key, &first.key));
                        of_victim
                            .find(|row| row.key.defence == *defence)
                            .and_then(cell)
                    })
                    .collect(),
            })
            .collect();
        (!rows.is_empty()).then(|| HeatMap {
            set: set.name.clone(),
            control: set.role != Role::Protected,
            defences,
            rows,
        })
    });
    let mut maps: Vec<HeatMap> = maps.collect();
    maps.sort_by_key(|map| map.control);
    maps
}

impl HeatCell {
    fn of(dice: f64, exact: String, worst: bool) -> Self {
        let colour = ramp(dice);
        let [r, g, b] = colour.map(|c| c.round() as u8);
        // Whichever of the two reads better.
        let dark = contrast(colour, INK_DARK) >= contrast(colour, INK_LIGHT);
        Self {
            dice: format!("{dice:.2}"),
            exact,
            background: format!("#{r:02x}{g:02x}{b:02x}"),
            ink: if dark { "dark" } else { "light" },
            worst,
        }
    }
}

const INK_DARK: [f64; 3] = [0.0; 3];
const INK_LIGHT: [f64; 3] = [255.0; 3];

/// Pale yellow for a Dice of 0 (the victim learns nothing) over orange to dark red for 1: readable
/// without colour vision, since it darkens all the way.
fn ramp(dice: f64) -> [f64; 3] {
    const STOPS: [[f64; 3]; 4] = [
        [255.0, 247.0, 214.0],
        [254.0, 196.0, 79.0],
        [217.0, 82.0, 20.0],
        [103.0, 10.0, 30.0],
    ];
    let position = dice.clamp(0.0, 1.0) * (STOPS.len() - 1) as f64;
    let below = (position as usize).min(STOPS.len() - 2);
    let share = position - below as f64;
    std::array::from_fn(|i| STOPS[below][i] + share * (STOPS[below + 1][i] - STOPS[below][i]))
}

/// Contrast of two sRGB colours as in the Web Content Accessibility Guidelines 2, 1 to 21.
fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| -> f64 {
        let linear = colour.map(|c| match c / 255.0 {
            c if c <= 0.04045 => c / 12.92,
            c => ((c + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
    f64::max(a / b, b / a)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_on_every_colour_and_colours_darken() {
        // Known pairs of the guidelines' own formula.
        assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
        assert!((contrast([119.0; 3], [255.0; 3]) - 4.48).abs() < 0.005);
        let mut before = f64::INFINITY;
        for step in 0..=1000 {
            let colour = ramp(f64::from(step) / 1000.0);
            let best = contrast(colour, INK_DARK).max(contrast(colour, INK_LIGHT));
            assert!(best >= 4.5, "{step}: {best}");
            let light = contrast(colour, [0.0; 3]);
            assert!(light < before, "{step}");
            before = light;
        }
    }
}
