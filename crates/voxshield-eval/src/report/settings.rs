use askama::Template;

use super::format::duration;
use crate::{
    Augmentation, Preprocessing,
    record::{EvaluationRecord, Role, TrainingSet},
};

/// What was run, on what.
#[derive(Template)]
#[template(path = "report/settings.html")]
pub(super) struct Settings {
    facts: Vec<(&'static str, String)>,
    sets: Vec<SetView>,
}

struct SetView {
    name: String,
    role: &'static str,
    cases: usize,
    sha256: String,
    epsilon: String,
    support: String,
    method: Option<String>,
}

impl Settings {
    pub(super) fn of(record: &EvaluationRecord) -> Self {
        let settings = &record.settings;
        let list = |items: &[String]| items.join(", ");
        let axes = |[d, h, w]: [usize; 3]| format!("{d} × {h} × {w}");
        let preprocessing = settings.preprocessing.iter().map(|p| p.name().to_owned());
        let augmentation = settings.augmentations.iter().map(|a| match a {
            Augmentation::None => "none".to_owned(),
            Augmentation::NnUnet => "nnU-Net".to_owned(),
        });
        let seeds = settings.seeds.iter().map(u64::to_string);
        let controls = match settings.defend_controls {
            true => "with the defences as well",
            false => "without defences",
        };
        let spacing = settings.target_spacing.map_or_else(
            || "each training set's median".to_owned(),
            |[d, h, w]| format!("{d} × {h} × {w} mm"),
        );
        let patches = settings.preprocessing.iter().map(|p| match p {
            Preprocessing::Paper => format!("{} (paper: the grid)", axes(settings.grid)),
            Preprocessing::Plain | Preprocessing::NnUnet => {
                format!("{} ({})", axes(settings.patch), p.name())
            }
        });
        let facts = vec![
            (
                "program",
                format!(
                    "voxshield {}, evaluation revision {}",
                    record.version, record.revision
                ),
            ),
            ("networks", list(&settings.networks)),
            ("spacing of nnunet", spacing),
            ("width", format!("{:?}", settings.width).to_lowercase()),
            ("preprocessing", list(&preprocessing.collect::<Vec<_>>())),
            ("augmentation", list(&augmentation.collect::<Vec<_>>())),
            ("defences", list(&settings.defences)),
            ("controls", controls.to_owned()),
            ("random noise", format!("{:?}", settings.noise)),
            ("seeds", list(&seeds.collect::<Vec<_>>())),
            ("steps", settings.steps.to_string()),
            ("tested every", format!("{} steps", settings.test_every)),
            (
                "batch",
                format!(
                    "{} patches of {} voxels",
                    settings.batch,
                    patches.collect::<Vec<_>>().join(", ")
                ),
            ),
            ("optimiser", settings.optimiser.clone()),
            (
                "precision",
                format!(
                    "{}{}",
                    format!("{:?}", settings.precision).to_lowercase(),
                    if settings.checkpointing {
                        ", checkpointing"
                    } else {
                        ""
                    }
                ),
            ),
            ("device", settings.device.clone()),
            ("time", duration(record.seconds)),
            (
                "test cases",
                format!("{}, SHA-256 {}", record.test.cases, record.test.sha256),
            ),
        ];
        Self {
            facts,
            sets: record.training_sets.iter().map(SetView::of).collect(),
        }
    }
}

impl SetView {
    fn of(set: &TrainingSet) -> Self {
        let epsilon = set
            .epsilon
            .map(|e| format!("{e:.6} ({:.2}/255)", 255.0 * e));
        Self {
            name: set.name.clone(),
            role: match set.role {
                Role::Clean => "clean control",
                Role::Random => "random control",
                Role::Protected => "under test",
                Role::Other => "to compare",
            },
            cases: set.facts.cases,
            sha256: set.facts.sha256.clone(),
            epsilon: epsilon.unwrap_or_else(|| "–".into()),
            support: set.support.clone().unwrap_or_else(|| "–".into()),
            method: set.method.clone(),
        }
    }
}
