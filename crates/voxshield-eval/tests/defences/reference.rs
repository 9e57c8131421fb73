//! The published reference's four transforms (PyTorch).

use voxshield_eval::{
    EvalError,
    defences::{Affine, Defence, Gamma, GaussianBlur, LabelledVolume, LowResolution, RandomAffine},
};
use voxshield_testkit::{Golden, assert_close};

const SHAPE: [usize; 4] = [2, 9, 12, 10];

fn volume(golden: &Golden, image: &str) -> LabelledVolume {
    let label = golden.ints("label");
    let label = label.iter().map(|&v| u16::try_from(v).unwrap()).collect();
    LabelledVolume::new(golden.values(image), label, SHAPE).unwrap()
}

/// Applies a defence that leaves the label alone and compares the image.
#[track_caller]
fn check(defence: &dyn Defence, input: &str, output: &str) {
    let golden = Golden::open("g_defense");
    let original = volume(&golden, input);
    let mut changed = original.clone();
    defence.apply(&mut changed, 0);
    assert_close(output, changed.image(), &golden.values(output), 2e-6);
    assert_eq!(changed.label(), original.label());
}

#[test]
fn gaussian_blur_equals_the_reference() {
    check(&GaussianBlur::default(), "image", "blur_sigma1");
    check(&GaussianBlur::new(0.5).unwrap(), "image", "blur_sigma05");
}

#[test]
fn the_kernel_of_the_blur_equals_the_reference() {
    let expected = Golden::open("g_defense").values("blur_kernel");
    let mut image = vec![0.0; 9];
    image[4] = 1.0;
    let mut impulse = LabelledVolume::new(image, vec![0; 9], [1, 1, 1, 9]).unwrap();
    GaussianBlur::default().apply(&mut impulse, 0);
    // Depth and height are one voxel long: each of their passes multiplies by the centre tap.
    let kernel: Vec<f32> = impulse.image()[1..8]
        .iter()
        .map(|v| v / (expected[3] * expected[3]))
        .collect();
    assert_close("kernel", &kernel, &expected, 2e-7);
    assert_eq!((impulse.image()[0], impulse.image()[8]), (0.0, 0.0));
}

#[test]
fn gamma_equals_the_reference() {
    let input = "gamma_input_with_negatives";
    check(&Gamma::default(), input, "gamma_1.5");
    check(&Gamma::new(0.7).unwrap(), input, "gamma_0.7");
}

#[test]
fn gamma_cuts_below_0_and_not_above_1() {
    let mut bright = LabelledVolume::new(vec![-4.0, 0.25, 4.0], vec![0; 3], [1, 1, 1, 3]).unwrap();
    Gamma::default().apply(&mut bright, 0);
    assert_eq!(bright.image(), [0.0, 0.125, 8.0]);
}

#[test]
fn low_resolution_equals_the_reference() {
    check(&LowResolution::default(), "image", "lowres_0.5");
    check(&LowResolution::new(0.3).unwrap(), "image", "lowres_0.3");
}

#[test]
fn low_resolution_keeps_one_voxel_of_a_short_axis() {
    let label = vec![0; 3];
    let mut thin = LabelledVolume::new(vec![1.0, 2.0, 6.0], label, [1, 1, 1, 3]).unwrap();
    LowResolution::new(0.25).unwrap().apply(&mut thin, 0);
    assert_eq!(thin.image(), [2.0; 3]);
}

#[test]
fn affine_equals_the_reference() {
    let golden = Golden::open("g_defense");
    let transform = Affine::new([10.0, -7.0, 13.0], 1.1).unwrap();
    let theta: Vec<f32> = transform
        .matrix()
        .iter()
        .flat_map(|row| row.iter().map(|&v| v as f32).chain([0.0]))
        .collect();
    assert_close("theta", &theta, &golden.values("affine_theta"), 2e-7);
    let mut moved = volume(&golden, "image");
    transform.apply(&mut moved);
    let expected = golden.values("affine_image");
    assert_close("image", moved.image(), &expected, 1e-5);
    let expected = golden.ints("affine_label");
    let other = moved
        .label()
        .iter()
        .zip(&expected)
        .filter(|(a, b)| i64::from(**a) != **b)
        .count();
    assert!(other * 200 <= expected.len(), "{other} labels differ");
}

#[test]
fn the_identity_changes_nothing_and_the_border_continues() {
    let golden = Golden::open("g_defense");
    let original = volume(&golden, "image");
    let mut same = original.clone();
    Affine::new([0.0; 3], 1.0).unwrap().apply(&mut same);
    assert_close("image", same.image(), original.image(), 1e-6);
    assert_eq!(same.label(), original.label());
    // Scale 3 shows the middle third in full and repeats the border around it.
    let line = |n: u16| (1..=n).collect::<Vec<_>>();
    let image = line(9).iter().map(|&v| f32::from(v)).collect();
    let mut shrunk = LabelledVolume::new(image, line(9), [1, 1, 1, 9]).unwrap();
    Affine::new([0.0; 3], 3.0).unwrap().apply(&mut shrunk);
    assert_eq!(shrunk.label(), [1, 1, 1, 2, 5, 8, 9, 9, 9]);
    assert_close(
        "line",
        shrunk.image(),
        &[1., 1., 1., 2., 5., 8., 9., 9., 9.],
        1e-5,
    );
}

#[test]
fn a_label_halfway_between_two_voxels_comes_from_the_even_one() {
    // Voxels 1 and 2 of four read at 0.5 and 2.5.
    let mut line = LabelledVolume::new(vec![0.0; 4], vec![5, 6, 7, 8], [1, 1, 1, 4]).unwrap();
    Affine::new([0.0; 3], 2.0).unwrap().apply(&mut line);
    assert_eq!(line.label(), [5, 5, 7, 8]);
}

#[test]
fn the_random_affine_fills_its_range_about_the_identity() {
    let random = RandomAffine::new(20.0, 0.25).unwrap();
    let mut extremes = [[f64::INFINITY, f64::NEG_INFINITY]; 4];
    for seed in 0..400 {
        // Scale and angles, back from scale Rz Ry Rx.
        let m = random.draw(seed).matrix();
        let scale = (0..3).map(|row| m[row][0] * m[row][0]).sum::<f64>().sqrt();
        let found = [
            m[2][1].atan2(m[2][2]).to_degrees() / 20.0,
            -(m[2][0] / scale).asin().to_degrees() / 20.0,
            m[1][0].atan2(m[0][0]).to_degrees() / 20.0,
            (scale - 1.0) / 0.25,
        ];
        for (extreme, found) in extremes.iter_mut().zip(found) {
            *extreme = [extreme[0].min(found), extreme[1].max(found)];
        }
    }
    for [least, most] in extremes {
        let full = (-1.0..-0.95).contains(&least) && (0.95..1.0).contains(&most);
        assert!(full, "{extremes:?}");
    }
}

#[test]
fn the_random_affine_follows_its_seed_and_moves_image_and_label_together() {
    // A half-space along the height: interpolation gives more than 1/2 exactly where the nearest
    // voxel is inside.
    let label: Vec<u16> = (0..9 * 12 * 10)
        .map(|i| u16::from(i / 10 % 12 > 4))
        .collect();
    let image = label.iter().map(|&v| f32::from(v)).collect();
    let original = LabelledVolume::new(image, label, [1, 9, 12, 10]).unwrap();
    let run = |seed| {
        let mut moved = original.clone();
        RandomAffine::default().apply(&mut moved, seed);
        moved
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
    for seed in 0..10 {
        let moved = run(seed);
        assert_ne!(moved.label(), original.label());
        for (&value, &label) in moved.image().iter().zip(moved.label()) {
            let tie = (value - 0.5).abs() < 1e-5;
            assert!(tie || (value > 0.5) == (label == 1), "{value} and {label}");
        }
    }
}

#[test]
fn parameters_and_arrays_that_do_not_fit_are_refused() {
    let bad = |error| matches!(error, EvalError::Parameter { .. });
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(bad(GaussianBlur::new(value).unwrap_err()));
        assert!(bad(Gamma::new(value).unwrap_err()));
        assert!(bad(LowResolution::new(value).unwrap_err()));
        assert!(bad(Affine::new([0.0; 3], value).unwrap_err()));
    }
    assert!(bad(LowResolution::new(1.1).unwrap_err()));
    assert!(bad(Affine::new([0.0, f64::NAN, 0.0], 1.0).unwrap_err()));
    assert!(bad(RandomAffine::new(181.0, 0.1).unwrap_err()));
    assert!(bad(RandomAffine::new(10.0, 1.0).unwrap_err()));
    let new = |image, label, shape| {
        LabelledVolume::new(vec![0.0; image], vec![0; label], shape).unwrap_err()
    };
    assert!(matches!(
        new(16, 7, [2, 2, 2, 2]),
        EvalError::Length {
            what: "label",
            expected: 8,
            found: 7
        }
    ));
    assert!(matches!(
        new(8, 8, [2, 2, 2, 2]),
        EvalError::Length {
            what: "image",
            expected: 16,
            found: 8
        }
    ));
    assert!(matches!(new(0, 0, [1, 0, 2, 2]), EvalError::Empty { .. }));
}
