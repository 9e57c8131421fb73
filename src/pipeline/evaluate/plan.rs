use burn::tensor::Device;
use serde::Serialize;

use super::{
    EVALUATION_REVISION, EvaluateOptions, Victim, countermeasure::Countermeasure,
    labelled::LabelledSet, preprocess::Preprocessor, purify::Pairs, radius::Radii,
    recompute::Recompute,
};
use crate::{
    data::sha256_bytes,
    eval::{
        Preprocessing, VictimConfig,
        record::{CellKey, NO_DEFENCE, Role},
        training::CleanCases,
    },
    pipeline::PipelineError,
};

/// A training set under its name.
pub(super) struct NamedSet {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) set: LabelledSet,
    /// Pairs for the purifier, if it was asked for.
    pub(super) pairs: Option<Pairs>,
}

/// Everything that cells share.
pub(super) struct Context<'a> {
    pub(super) options: &'a EvaluateOptions,
    pub(super) device: Device,
    /// Names of the defences, `none` first.
    pub(super) defences: Vec<String>,
    pub(super) sets: Vec<NamedSet>,
    pub(super) test: LabelledSet,
}

impl Context<'_> {
    /// The clean control, where defences take clean cases from.
    pub(super) fn clean(&self) -> Option<&LabelledSet> {
        let clean = self.sets.iter().find(|set| set.role == Role::Clean);
        clean.map(|set| &set.set)
    }
}

/// A victim to train.
pub(super) struct PlannedCell {
    pub(super) key: CellKey,
    /// Its training set's place in [`Context::sets`].
    pub(super) set: usize,
    pub(super) config: VictimConfig,
    pub(super) preprocessor: Preprocessor,
    pub(super) hash: String,
}

/// What a cell's result depends on; its hash is the name that the result is stored under. The name of the
/// training set is not in it, nor where files lie.
#[derive(Serialize)]
struct Inputs<'a> {
    version: &'a str,
    revision: u32,
    config: &'a VictimConfig,
    preprocessing: Preprocessing,
    preprocessor: String,
    defence: String,
    test_every: usize,
    training_set: &'a str,
    clean: Option<&'a str>,
    pairs: Option<&'a str>,
    test: &'a str,
    device: String,
}

impl Inputs<'_> {
    fn hash(&self) -> String {
        // Strings and numbers only: serialising cannot fail.
        sha256_bytes(&serde_json::to_vec(self).unwrap_or_default())
    }
}

/// All cells, one seed after the other, so that an interrupted run has whole tables.
///
/// Defences are for perturbed sets, those that compare may come from another program; controls go through them only if that was asked for, and the
/// clean control never through one that needs clean cases.
pub(super) fn plan(context: &Context<'_>) -> Result<Vec<PlannedCell>, PipelineError> {
    let options = context.options;
    let (mut cells, mut radii) = (Vec::new(), Radii::new(context));
    for offset in 0..options.seeds {
        let seed = options.training.seed.wrapping_add(offset);
        for (set, named) in context.sets.iter().enumerate() {
            for victim in &options.victims {
                for &augmentation in &options.augmentations {
                    for defence in &context.defences {
                        let defence = radii.of(defence, set, victim.preprocessing)?;
                        let countermeasure = Countermeasure::find(&defence)?;
                        if !applies(context, named, &countermeasure) {
                            continue;
                        }
                        let key = CellKey {
                            training_set: named.name.clone(),
                            network: victim.network.clone(),
                            preprocessing: victim.preprocessing,
                            augmentation,
                            defence,
                            seed,
                        };
                        // Two names of one victim are not two seeds of it.
                        if !cells.iter().any(|cell: &PlannedCell| cell.key == key) {
                            cells.push(planned(context, key, set, victim, &countermeasure));
                        }
                    }
                }
            }
        }
    }
    Ok(cells)
}

fn applies(context: &Context<'_>, set: &NamedSet, countermeasure: &Countermeasure) -> bool {
    let needs_clean = clean_cases(countermeasure) != CleanCases::None;
    match countermeasure {
        Countermeasure::None => true,
        Countermeasure::Purifier => set.pairs.is_some(),
        Countermeasure::Recompute(_) if !Recompute::is_possible(&set.set) => false,
        _ if needs_clean && (context.clean().is_none() || set.role == Role::Clean) => false,
        _ => match set.role {
            // What a competitor wrote has no manifest, and is attacked all the same.
            Role::Protected | Role::Other => true,
            Role::Clean | Role::Random => context.options.defend_controls,
        },
    }
}

/// The defences that no training set goes through, with the reason: a note for each reason.
pub(super) fn left_out(context: &Context<'_>) -> Result<Vec<String>, PipelineError> {
    let (mut without_clean, mut trained, mut of_manifest) = (Vec::new(), Vec::new(), Vec::new());
    let untrained = context.sets.iter().any(|set| {
        set.role != Role::Random
            && applies(
                context,
                set,
                &Countermeasure::Recompute(Recompute::Subtract),
            )
    });
    let mut attacked = context.sets.iter().filter(|set| set.role != Role::Random);
    let any_manifest = attacked.any(|set| set.set.manifest.is_some());
    for defence in &context.defences {
        let countermeasure = Countermeasure::find(defence)?;
        let needs_clean = clean_cases(&countermeasure) != CleanCases::None;
        if needs_clean && context.clean().is_none() {
            without_clean.push(defence.as_str());
        }
        if matches!(countermeasure, Countermeasure::Recompute(_)) && any_manifest && !untrained {
            trained.push(defence.as_str());
        }
        if matches!(
            countermeasure,
            Countermeasure::Recompute(_) | Countermeasure::Purifier
        ) {
            of_manifest.push(defence.as_str());
        }
    }
    let mut notes = Vec::new();
    if !without_clean.is_empty() {
        notes.push(format!(
            "left out, because no clean originals were given (--clean): {}; the worst case does not know them",
            without_clean.join(", ")
        ));
    }
    for named in &context.sets {
        let attacked = matches!(named.role, Role::Protected | Role::Other);
        if attacked && named.set.manifest.is_none() && !of_manifest.is_empty() {
            notes.push(format!(
                "left out for '{}', because it has no manifest, which they need: {}; its worst case does not know them",
                named.name,
                of_manifest.join(", ")
            ));
        }
    }
    if !trained.is_empty() {
        notes.push(format!(
            "left out, because no manifest names a method without training; what was trained cannot be computed from what is published: {}",
            trained.join(", ")
        ));
    }
    Ok(notes)
}

/// Which clean cases a countermeasure takes.
pub(super) fn clean_cases(countermeasure: &Countermeasure) -> CleanCases {
    let training = countermeasure.training();
    training.map_or(CleanCases::None, |defence| defence.clean_cases())
}

fn planned(
    context: &Context<'_>,
    key: CellKey,
    set: usize,
    victim: &Victim,
    countermeasure: &Countermeasure,
) -> PlannedCell {
    let options = context.options;
    let own = &context.sets[set].set;
    let preprocessor = Preprocessor::fit(
        victim.preprocessing,
        own,
        options.grid,
        options.target_spacing,
    );
    let config = VictimConfig {
        network: victim.network.clone(),
        augmentation: key.augmentation,
        preprocessing: key.preprocessing,
        spacing: preprocessor.spacing(),
        patch: preprocessor.patch(options.training.patch),
        seed: key.seed,
        ..options.training.clone()
    };
    let needs_clean = clean_cases(countermeasure) != CleanCases::None;
    // What the manifest says is an input of those who compute the perturbation from it.
    let made_with = match (countermeasure, &own.manifest) {
        (Countermeasure::Recompute(_), Some(manifest)) => format!(" {}", manifest.method),
        _ => String::new(),
    };
    let inputs = Inputs {
        version: env!("CARGO_PKG_VERSION"),
        revision: EVALUATION_REVISION,
        config: &config,
        preprocessing: key.preprocessing,
        preprocessor: format!("{preprocessor:?}"),
        defence: match key.defence == NO_DEFENCE {
            true => String::new(),
            false => format!("{} {countermeasure:?}{made_with}", key.defence),
        },
        test_every: options.test_every,
        training_set: &own.facts.sha256,
        clean: context
            .clean()
            .filter(|_| needs_clean)
            .map(|clean| clean.facts.sha256.as_str()),
        pairs: matches!(countermeasure, Countermeasure::Purifier)
            .then(|| context.sets[set].pairs.as_ref().map(Pairs::hash))
            .flatten(),
        test: &context.test.facts.sha256,
        device: options.device.to_string(),
    };
    let hash = inputs.hash();
    PlannedCell {
        key,
        set,
        config,
        preprocessor,
        hash,
    }
}

#[cfg(test)]
mod tests;
