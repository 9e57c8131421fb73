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
    let (mut without_clean, mut trained) = (Vec::new(), Vec::new());
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
        if named.set.manifest.is_some() || !attacked {
            continue;
        }
        let mut needed = Vec::new();
        for defence in &context.defences {
            let of_manifest = Countermeasure::find(defence)?;
            if matches!(
                of_manifest,
                Countermeasure::Recompute(_) | Countermeasure::Purifier
            ) {
                needed.push(defence.as_str());
            }
        }
        if !needed.is_empty() {
            notes.push(format!(
                "left out for '{}', because it has no manifest, which they need: {}; its worst case does not know them",
                named.name,
                needed.join(", ")
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
mod tests {
    use std::{path::Path, sync::Arc};

    use super::{
        super::fixtures::{context, named, open, publish, textured},
        *,
    };
    use crate::{
        eval::{Augmentation, Optimiser},
        models::{Precision, Width},
        pipeline::DeviceChoice,
    };

    /// What a victim is planned from.
    #[derive(Clone)]
    struct Setting {
        options: EvaluateOptions,
        defences: Vec<String>,
        name: &'static str,
        /// Seeds of the textures of the clean set, the protected one, the attacker's and the test cases.
        textures: [u32; 4],
    }

    impl Setting {
        fn new(defences: &[&str]) -> Self {
            Self {
                options: EvaluateOptions::default(),
                defences: defences.iter().map(|name| (*name).to_owned()).collect(),
                name: "protected",
                textures: [1, 2, 3, 4],
            }
        }

        /// The hashes of the protected set's victims, in the order of the defences.
        fn hashes(&self, folder: &Path) -> Vec<String> {
            let root = |kind: &str, seed: u32| {
                let root = folder.join(format!("{kind}{seed}"));
                textured(&root, seed, &[1, 2])
            };
            let [clean, protected, attacker, test] = self.textures;
            let (clean, test) = (root("clean", clean), root("test", test));
            let (protected, attacker) = (root("protected", protected), root("attacker", attacker));
            publish(&protected, &clean, (0.0, 10.0));
            let mut sets = vec![
                named("clean", Role::Clean, &clean),
                named(self.name, Role::Protected, &protected),
            ];
            sets[1].pairs = Some(Pairs {
                clean: Arc::new(open(&attacker)),
                protected: open(&attacker),
            });
            let mut all = context(&self.options, sets, &test);
            all.defences.clone_from(&self.defences);
            let cells = plan(&all).unwrap();
            let own = cells.iter().filter(|cell| cell.set == 1);
            own.map(|cell| cell.hash.clone()).collect()
        }
    }

    #[test]
    fn a_result_is_stored_under_everything_that_it_depends_on() {
        type Change = fn(&mut Setting);
        let folder = tempfile::tempdir().unwrap();
        let hash = |setting: &Setting| setting.hashes(folder.path()).remove(0);
        let changes: [(&str, Change); 19] = [
            ("width", |s| s.options.training.width = Width::Full),
            ("patch", |s| s.options.training.patch = [32, 32, 48]),
            ("batch", |s| s.options.training.batch = 5),
            ("steps", |s| s.options.training.steps = 241),
            ("optimiser", |s| {
                s.options.training.optimiser = Optimiser::Sgd
            }),
            ("learning rate", |s| s.options.training.learning_rate = 2e-2),
            ("seed", |s| s.options.training.seed = 1),
            ("precision", |s| {
                s.options.training.precision = Precision::Bf16
            }),
            ("checkpointing", |s| s.options.training.checkpointing = true),
            ("network", |s| s.options.victims[0].network = "v-net".into()),
            ("augmentation", |s| {
                s.options.augmentations = vec![Augmentation::NnUnet]
            }),
            ("preprocessing", |s| {
                s.options.victims[0].preprocessing = Preprocessing::NnUnet
            }),
            ("grid", |s| s.options.grid = [96; 3]),
            ("spacing", |s| s.options.target_spacing = Some([2.0; 3])),
            ("test every", |s| s.options.test_every = 61),
            ("training set", |s| s.textures[1] = 5),
            ("test", |s| s.textures[3] = 5),
            ("device", |s| s.options.device = DeviceChoice::Cuda(1)),
            ("defence", |s| s.defences = vec!["gaussian-blur".into()]),
        ];
        let base = Setting::new(&[NO_DEFENCE]);
        let before = hash(&base);
        assert_eq!(hash(&base), before);
        for (what, change) in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(hash(&changed), before, "{what}");
        }
        // What it does not depend on: what the set is called, and clean and attacker's files that are not used.
        let unused: [(&str, Change); 3] = [
            ("name", |s| s.name = "mine"),
            ("clean", |s| s.textures[0] = 5),
            ("pairs", |s| s.textures[2] = 5),
        ];
        for (what, change) in unused {
            let mut changed = base.clone();
            change(&mut changed);
            assert_eq!(hash(&changed), before, "{what}");
        }
        for (defence, change) in [("clean-mix", unused[1].1), ("purifier", unused[2].1)] {
            let used = Setting::new(&[defence]);
            let mut changed = used.clone();
            change(&mut changed);
            assert_ne!(hash(&changed), hash(&used), "{defence}");
        }
    }

    #[test]
    fn every_defence_has_a_hash_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut setting = Setting::new(&[]);
        setting.defences = Countermeasure::resolve(&["all".to_owned()]).unwrap();
        setting.defences.push("adversarial-training:0.3".into());
        let mut hashes = setting.hashes(folder.path());
        assert_eq!(hashes.len(), setting.defences.len());
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), setting.defences.len());
    }

    /// The program's version and the revision cannot be changed by a setting.
    #[test]
    fn results_of_another_revision_are_other_results() {
        let config = VictimConfig::narrow();
        let inputs = |version, revision| Inputs {
            version,
            revision,
            config: &config,
            preprocessing: Preprocessing::Plain,
            preprocessor: String::new(),
            defence: String::new(),
            test_every: 1,
            training_set: "",
            clean: None,
            pairs: None,
            test: "",
            device: String::new(),
        };
        let first = inputs("1", 1).hash();
        assert_eq!(inputs("1", 1).hash(), first);
        assert_ne!(inputs("1", 2).hash(), first);
        assert_ne!(inputs("2", 1).hash(), first);
    }

    #[test]
    fn what_needs_no_manifest_is_tried_on_a_competitor_and_the_rest_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = |name: &str, seed| textured(&folder.path().join(name), seed, &[1]);
        let (clean, umed, protected) = (root("clean", 1), root("umed", 2), root("protected", 3));
        publish(&protected, &clean, (0.0, 10.0));
        let options = EvaluateOptions::default();
        let sets = vec![
            named("clean", Role::Clean, &clean),
            named("umed", Role::Other, &umed),
            named("protected", Role::Protected, &protected),
        ];
        let mut all = context(&options, sets, &root("test", 4));
        let names = ["gaussian-blur", "clean-mix", "recompute", "purifier"];
        all.defences.extend(names.map(str::to_owned));
        let cells = plan(&all).unwrap();
        let of = |set: &str| -> Vec<&str> {
            let own = cells.iter().filter(|cell| cell.key.training_set == set);
            own.map(|cell| cell.key.defence.as_str()).collect()
        };
        assert_eq!(of("clean"), [NO_DEFENCE]);
        assert_eq!(of("umed"), [NO_DEFENCE, "gaussian-blur", "clean-mix"]);
        let tried = [NO_DEFENCE, "gaussian-blur", "clean-mix", "recompute"];
        assert_eq!(
            of("protected"),
            tried,
            "there are no pairs for the purifier"
        );
        let notes = left_out(&all).unwrap();
        let [note] = &notes[..] else {
            panic!("{notes:?}")
        };
        assert!(
            note.contains("'umed'") && note.contains("recompute, purifier"),
            "{note}"
        );
    }
}
