//! Numbers and names as the report shows them.

use crate::{
    Augmentation,
    record::{CellKey, NO_DEFENCE, Spread},
};

/// A mean with its spread, where there is more than one value.
pub(super) fn spread(spread: &Spread) -> String {
    match spread.count {
        1 => format!("{:.3}", spread.mean),
        _ => format!("{:.3} ± {:.3}", spread.mean, spread.sd),
    }
}

/// As [`spread`], a dash where there is none.
pub(super) fn maybe(value: Option<&Spread>) -> String {
    value.map_or_else(|| "–".into(), spread)
}

/// A number with `digits` behind the point, a dash where there is none.
pub(super) fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".into(), |value| format!("{value:.digits$}"))
}

/// A small number in three significant digits.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || (0.01..1000.0).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.2e}")
    }
}

pub(super) fn augmentation(augmentation: Augmentation) -> &'static str {
    match augmentation {
        Augmentation::None => "no augmentation",
        Augmentation::NnUnet => "nnU-Net augmentation",
    }
}

/// Network, preprocessing and augmentation of a victim, without its defence.
pub(super) fn victim(key: &CellKey) -> String {
    let augmentation = augmentation(key.augmentation);
    let preprocessing = key.preprocessing.name();
    format!(
        "{}, {preprocessing} preprocessing, {augmentation}",
        key.network
    )
}

/// As [`victim`], with the defence in words.
pub(super) fn victim_and_defence(key: &CellKey) -> String {
    match key.defence.as_str() {
        NO_DEFENCE => format!("{}, no defence", victim(key)),
        defence => format!("{}, defence {defence}", victim(key)),
    }
}

/// Whether two cells are the same victim but for training set, defence and seed.
pub(super) fn same_victim(a: &CellKey, b: &CellKey) -> bool {
    a.network == b.network && a.preprocessing == b.preprocessing && a.augmentation == b.augmentation
}

/// Items in the order of their first appearance, each once.
pub(super) fn distinct<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for item in items {
        if !found.contains(&item) {
            found.push(item);
        }
    }
    found
}

/// A duration in the unit that suits it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
