//! What a plan holds, and what its hashes depend on.

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
