//! What every closed form of the list promises.

use std::collections::BTreeSet;

use std::ops::Range;

use voxshield_perturb::{
    ArraySlices, Budget, CaseSlices, ClosedForm, METHODS, Needs, PerturbationMethod, Support,
};

const SHAPE: [usize; 3] = [9, 7, 11];
const VOXELS: usize = 9 * 7 * 11;

/// Two labels side by side, with background around them.
fn labels() -> Vec<u16> {
    let mut labels = vec![0; VOXELS];
    for z in 2..7 {
        for y in 2..5 {
            for x in 2..9 {
                labels[(z * 7 + y) * 11 + x] = if x < 5 { 1 } else { 2 };
            }
        }
    }
    labels
}

/// Two equal channels in which every tenth is a brightness of its own, darker within the labels.
fn image() -> Vec<f32> {
    let one = labels().into_iter().enumerate();
    one.map(|(i, label)| if label > 0 { 0.3 } else { 0.5 } + (i % 10) as f32 / 100.0)
        .collect::<Vec<f32>>()
        .repeat(2)
}

fn delta(method: ClosedForm, labels: &[u16], seed: u64) -> Vec<f32> {
    let image = image();
    let case = ArraySlices::new(&image, labels, SHAPE).unwrap();
    let mut code = method.of_case(&case, seed, Budget::new(0.1).unwrap());
    code.delta(&case, 0..SHAPE[0]).unwrap()
}

#[test]
fn every_code_keeps_its_bound_its_seed_and_its_shape() {
    let labels = labels();
    for method in ClosedForm::all() {
        let a = delta(method, &labels, 3);
        assert_eq!(a.len(), 2 * VOXELS, "{method:?}");
        // What has a key has another code in every channel, so that no difference of channels is free of it.
        let keyed = a != delta(method, &labels, 4);
        assert_eq!(a[..VOXELS] != a[VOXELS..], keyed, "{method:?}");
        assert!(a.iter().all(|d| d.abs() <= 0.1), "{method:?}");
        assert!(a.iter().any(|d| d.abs() > 0.05), "{method:?}");
        assert_eq!(a, delta(method, &labels, 3), "{method:?}");
    }
}

#[test]
fn slices_have_the_code_that_they_have_in_the_volume() {
    let (image, labels) = (image(), labels());
    let slice = 7 * 11;
    let case = ArraySlices::new(&image, &labels, SHAPE).unwrap();
    for method in ClosedForm::all() {
        let whole = delta(method, &labels, 3);
        let mut code = method.of_case(&case, 3, Budget::new(0.1).unwrap());
        // The last are asked for out of order.
        for slices in [0..1, 1..2, 2..5, 8..9, 4..6] {
            let part = slices.start * slice..slices.end * slice;
            let expected: Vec<f32> = whole
                .chunks(VOXELS)
                .flat_map(|channel| channel[part.clone()].to_vec())
                .collect();
            assert_eq!(code.delta(&case, slices).unwrap(), expected, "{method:?}");
        }
        assert!(code.delta(&case, 8..10).is_err() && code.delta(&case, 3..3).is_err());
    }
}

/// A case that nobody may ask for its image.
struct Labels<'a>(ArraySlices<'a>);

impl CaseSlices for Labels<'_> {
    fn shape(&self) -> [usize; 3] {
        self.0.shape()
    }

    fn channels(&self) -> usize {
        2
    }

    fn labels(&self, slices: Range<usize>) -> Vec<u16> {
        self.0.labels(slices)
    }

    fn image(&self, _: Range<usize>) -> Vec<f32> {
        panic!("it was read");
    }
}

#[test]
fn the_image_is_read_by_forms_that_look_at_it_alone() {
    let labels = labels();
    let case = Labels(ArraySlices::new(&[], &labels, SHAPE).unwrap());
    for method in ClosedForm::all().filter(|method| method.name() != "contrast-inversion") {
        let mut code = method.of_case(&case, 3, Budget::new(0.1).unwrap());
        let found = code.delta(&case, 0..SHAPE[0]).unwrap();
        assert_eq!(found, delta(method, &labels, 3), "{method:?}");
    }
}

#[test]
fn keyed_codes_change_with_the_seed() {
    let labels = labels();
    for name in ["label-fields", "keyed-codes", "blocks", "autoregressive"] {
        let method = ClosedForm::find(name).unwrap();
        assert_ne!(
            delta(method, &labels, 3),
            delta(method, &labels, 4),
            "{name}"
        );
    }
}

#[test]
fn what_needs_no_labels_ignores_them_and_what_needs_them_does_not() {
    let (labels, empty) = (labels(), vec![0; VOXELS]);
    for method in ClosedForm::all() {
        let needs = PerturbationMethod::find(method.name()).unwrap().needs;
        let same = delta(method, &labels, 1) == delta(method, &empty, 1);
        assert_eq!(same, needs == Needs::Nothing, "{method:?}");
        assert!(delta(method, &empty, 1).iter().all(|d| d.is_finite()));
    }
}

#[test]
fn a_support_of_zero_leaves_nothing_and_the_intensities_stay_in_range() {
    let labels = labels();
    let budget = Budget::new(0.1).unwrap();
    let image: Vec<f32> = (0..2 * VOXELS).map(|i| (i % 21) as f32 / 20.0).collect();
    let support: Vec<f32> = labels.iter().map(|&l| f32::from(u8::from(l > 0))).collect();
    for method in ClosedForm::all() {
        let mut delta = delta(method, &labels, 1);
        budget.clip(&image, &support, &mut delta).unwrap();
        for ((d, x), s) in delta.iter().zip(&image).zip(support.iter().cycle()) {
            assert!(*s > 0.0 || *d == 0.0, "{method:?}");
            assert!((0.0..=1.0).contains(&(x + d)), "{method:?}");
        }
    }
}

#[test]
fn names_are_unique_and_bad_input_is_an_error() {
    let names: BTreeSet<_> = METHODS.iter().map(|method| method.name).collect();
    assert_eq!(names.len(), METHODS.len());
    let error = ClosedForm::find("voxshield").unwrap_err().to_string();
    assert!(error.contains("checkerboard"), "{error}");
    for (image, labels) in [(VOXELS, 5), (VOXELS + 1, VOXELS)] {
        assert!(ArraySlices::new(&vec![0.0; image], &vec![0; labels], SHAPE).is_err());
    }
    for method in ClosedForm::all() {
        let text = serde_json::to_string(&method).unwrap();
        assert_eq!(text, format!("{:?}", method.name()));
        assert_eq!(serde_json::from_str::<ClosedForm>(&text).unwrap(), method);
    }
    assert!(serde_json::from_str::<ClosedForm>("\"none\"").is_err());
}

#[test]
fn strengths_are_dice_of_victims_of_supports_that_exist() {
    for method in METHODS {
        let Some(strength) = method.strength else {
            continue;
        };
        assert!(Support::ALL.contains(&strength.support), "{method:?}");
        let victims = [strength.unet, strength.con_res_net];
        for dice in victims
            .map(|victim| [victim.plain, victim.augmented])
            .as_flattened()
        {
            assert!((0.0..=1.0).contains(dice), "{method:?}: {dice}");
        }
        let worst = strength.worst();
        for victim in victims {
            assert!(
                victim.plain <= worst.plain && victim.augmented <= worst.augmented,
                "{method:?}"
            );
        }
        assert!(
            victims.iter().any(|victim| victim.plain == worst.plain),
            "{method:?}"
        );
        assert!(
            victims
                .iter()
                .any(|victim| victim.augmented == worst.augmented),
            "{method:?}"
        );
    }
}
