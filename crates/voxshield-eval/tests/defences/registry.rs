//! Names, strengths and groups.

use voxshield_eval::EvalError;
use voxshield_eval::defences::{DEFENCES, GROUPS, LabelledVolume, find, names, resolve};
use voxshield_testkit::Golden;

#[test]
fn every_defence_is_found_by_what_it_calls_itself() {
    for entry in DEFENCES {
        let default = find(entry.name).unwrap();
        assert_eq!(default.name(), entry.name);
        assert_eq!(default.strength().is_some(), !entry.strengths.is_empty());
        assert_eq!(find(&default.spec()).unwrap().spec(), default.spec());
        for strength in entry.strengths {
            let spec = format!("{}:{strength}", entry.name);
            assert_eq!(find(&spec).unwrap().spec(), spec);
        }
    }
    let mut sorted = names();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), DEFENCES.len(), "two defences have one name");
}

#[test]
fn a_strength_is_taken_from_the_name() {
    assert_eq!(find("gaussian-blur").unwrap().spec(), "gaussian-blur:1");
    assert_eq!(find("gaussian-blur:0.5").unwrap().strength(), Some(0.5));
    assert_eq!(find("jpeg:30").unwrap().spec(), "jpeg:30");
    assert_eq!(find("histogram-match").unwrap().spec(), "histogram-match");
}

#[test]
fn what_is_no_defence_is_refused_with_the_reason() {
    let message = find("blur").unwrap_err().to_string();
    let start = "unknown defence `blur`; known are: gaussian-blur, gamma, low-resolution, ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.ends_with(", cheap, all"), "{message}");
    for spec in [
        "gaussian-blur:",
        "gaussian-blur:x",
        "gaussian-blur:NaN",
        "gaussian-blur:-1",
        "gamma:0",
        "low-resolution:2",
        "low-resolution-in-plane:0",
        "affine:181",
        "jpeg:0",
        "jpeg:101",
        "jpeg:10.5",
        "jpeg:-10",
        "jpeg:1e30",
        "bit-depth:17",
        "median:4",
        "median:1",
        "median-z:17",
        "slab-mean:1",
        "skip-slices:0",
        "periodic-mean:1",
        "periodic-mean:33",
        "histogram-match:1",
        "random-inversion:1.5",
        "total-variation:inf",
        "nl-means:0",
    ] {
        let error = find(spec).unwrap_err();
        assert!(
            matches!(error, EvalError::Parameter { .. }),
            "{spec}: {error}"
        );
    }
}

#[test]
fn groups_stand_for_their_members_and_nothing_comes_twice() {
    let specs = |asked: &[&str]| -> Vec<String> {
        resolve(asked).unwrap().iter().map(|d| d.spec()).collect()
    };
    let all = specs(&["all"]);
    let strengths: usize = DEFENCES.iter().map(|e| e.strengths.len().max(1)).sum();
    assert_eq!(all.len(), strengths);
    for spec in [
        "gaussian-blur:0.5",
        "gaussian-blur:2",
        "jpeg:10",
        "median-z:5",
        "nl-means:0.05",
    ] {
        assert!(all.iter().any(|known| known == spec), "{spec}");
    }
    let cheap = specs(&["cheap"]);
    assert!(cheap.iter().all(|spec| all.contains(spec)), "{cheap:?}");
    let slow = ["total-variation", "nl-means"];
    assert!(
        cheap
            .iter()
            .all(|spec| !slow.iter().any(|slow| spec.starts_with(slow)))
    );
    assert_eq!(cheap.len() + slow.len(), DEFENCES.len());
    assert_eq!(
        specs(&["jpeg:10", "gamma", "jpeg:10", "gamma:1.5"]),
        ["jpeg:10", "gamma:1.5"]
    );
    assert_eq!(specs(&["cheap", "all"]).len(), all.len());
    assert!(matches!(
        resolve(&["cheap", "none"]).unwrap_err(),
        EvalError::UnknownDefence { name, .. } if name == "none"
    ));
    assert_eq!(GROUPS, ["cheap", "all"]);
}

/// Sizes that are no multiple of a window, a single slice, a line, and one voxel.
#[test]
fn every_defence_keeps_shape_and_label_values_and_repeats() {
    let values = Golden::open("g_defense").values("image");
    for shape in [[2, 9, 12, 10], [1, 1, 7, 5], [1, 11, 1, 1], [1, 1, 1, 1]] {
        let [channels, depth, height, width] = shape;
        let voxels = depth * height * width;
        let image = values[..channels * voxels].to_vec();
        let label = (0..voxels as u16).map(|i| i % 3).collect();
        let original = LabelledVolume::new(image, label, shape).unwrap();
        for defence in resolve(&["all"]).unwrap() {
            let run = || {
                let mut changed = original.clone();
                defence.apply(&mut changed, 11);
                changed
            };
            let changed = run();
            assert_eq!(changed, run(), "{defence:?}");
            assert_eq!(changed.shape(), shape);
            assert!(changed.image().iter().all(|v| v.is_finite()), "{defence:?}");
            assert!(changed.label().iter().all(|label| *label < 3));
            if voxels > 100 {
                assert_ne!(changed.image(), original.image(), "{defence:?}");
            }
        }
    }
}

/// What can be done to a test image: nothing is drawn, and the label makes no difference and stays.
#[test]
fn what_is_done_at_test_needs_neither_seed_nor_label() {
    let image = Golden::open("g_defense").values("image")[..9 * 12 * 10].to_vec();
    let label: Vec<u16> = (0..9 * 12 * 10).map(|i| i % 3).collect();
    let run = |spec: &str, label: &[u16], seed| {
        let image = image.clone();
        let mut volume = LabelledVolume::new(image, label.to_vec(), [1, 9, 12, 10]).unwrap();
        find(spec).unwrap().apply(&mut volume, seed);
        volume.into_parts()
    };
    let mut left_out = Vec::new();
    for entry in DEFENCES {
        if !find(entry.name).unwrap().at_test() {
            left_out.push(entry.name);
            continue;
        }
        let (seen, kept) = run(entry.name, &label, 11);
        assert_eq!(kept, label, "{}", entry.name);
        let (blind, _) = run(entry.name, &[0; 9 * 12 * 10], 12);
        assert_eq!(seen, blind, "{}", entry.name);
    }
    assert_eq!(left_out, ["affine", "periodic-mean", "random-inversion"]);
}
