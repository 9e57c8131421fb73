//! Defences without a counterpart to compare with: loops in `f64` by their definitions.

use voxshield_eval::defences::{Defence, LabelledVolume, find};
use voxshield_testkit::{Golden, assert_close};

const SHAPE: [usize; 3] = [9, 12, 10];

fn run(defence: &dyn Defence, channels: usize) -> (Vec<f32>, Vec<f32>) {
    let mut image = Golden::open("g_defense").values("image");
    image.truncate(channels * 9 * 12 * 10);
    let label = vec![0; 9 * 12 * 10];
    let mut volume = LabelledVolume::new(image.clone(), label, [channels, 9, 12, 10]).unwrap();
    defence.apply(&mut volume, 0);
    (image, volume.into_parts().0)
}

#[test]
fn bit_depth_keeps_the_nearest_of_its_levels() {
    for bits in [1, 4, 6, 8] {
        let (image, found) = run(&*find(&format!("bit-depth:{bits}")).unwrap(), 2);
        let largest = f64::from((1 << bits) - 1);
        let levels: Vec<f64> = (0..1 << bits)
            .map(|level| f64::from(level) / largest)
            .collect();
        for (x, found) in image.iter().zip(&found) {
            let near = levels
                .iter()
                .map(|l| (l - f64::from(*x)).abs())
                .fold(1.0, f64::min);
            let level = f64::from(*found) * largest;
            assert!((level - level.round()).abs() < 1e-5, "{found} is no level");
            assert!((f64::from(*found) - f64::from(*x)).abs() < near + 1e-6);
        }
    }
}

#[test]
fn bit_depth_and_jpeg_cut_to_the_range() {
    for spec in ["bit-depth:8", "jpeg:100"] {
        let image = [-0.5f32, 1.5].repeat(32);
        let mut volume = LabelledVolume::new(image, vec![0; 64], [1, 1, 8, 8]).unwrap();
        find(spec).unwrap().apply(&mut volume, 0);
        let expected = [0.0f32, 1.0].repeat(32);
        assert_close(spec, volume.image(), &expected, 2.5 / 255.0);
    }
}

/// The value at a voxel, the border's outside.
fn at(image: &[f32], [z, y, x]: [i64; 3]) -> f64 {
    let inside = |at: i64, axis: usize| at.clamp(0, SHAPE[axis] as i64 - 1) as usize;
    let [z, y, x] = [inside(z, 0), inside(y, 1), inside(x, 2)];
    f64::from(image[(z * SHAPE[1] + y) * SHAPE[2] + x])
}

fn cube(radius: i64) -> Vec<[i64; 3]> {
    let side = -radius..=radius;
    let mut cube = Vec::new();
    for z in side.clone() {
        for y in side.clone() {
            cube.extend(side.clone().map(|x| [z, y, x]));
        }
    }
    cube
}

#[test]
fn non_local_means_equal_their_formula() {
    let h = 0.2;
    let (image, found) = run(&*find("nl-means:0.2").unwrap(), 1);
    let plus = |a: [i64; 3], b: [i64; 3]| std::array::from_fn(|axis| a[axis] + b[axis]);
    let mut expected = Vec::new();
    for i in 0..image.len() as i64 {
        let v = [i / 120, i / 10 % 12, i % 10];
        let (mut sum, mut weights) = (0.0, 0.0);
        for offset in cube(2) {
            let other = plus(v, offset);
            let squares = cube(1)
                .into_iter()
                .map(|q| (at(&image, plus(v, q)) - at(&image, plus(other, q))).powi(2));
            let weight = (-squares.sum::<f64>() / 27.0 / (h * h)).exp();
            sum += weight * at(&image, other);
            weights += weight;
        }
        expected.push((sum / weights) as f32);
    }
    assert!(
        image
            .iter()
            .zip(&expected)
            .any(|(a, b)| (a - b).abs() > 0.05)
    );
    assert_close("nl-means", &found, &expected, 2e-6);
}

/// By the reference's formula with a factor of 1 along the depth: every slice by itself.
#[test]
fn the_in_plane_resolution_is_the_low_resolution_of_single_slices() {
    let (image, found) = run(&*find("low-resolution-in-plane:0.5").unwrap(), 2);
    let low = find("low-resolution:0.5").unwrap();
    let slices = image.chunks_exact(120).flat_map(|slice| {
        let mut slice = LabelledVolume::new(slice.to_vec(), vec![0; 120], [1, 1, 12, 10]).unwrap();
        low.apply(&mut slice, 0);
        slice.into_parts().0
    });
    let expected: Vec<f32> = slices.collect();
    assert_close("in plane", &found, &expected, 1e-6);
    assert_ne!(found, image);
}

/// What the lattice that the protection tends to is left of: +-e in turn along z.
#[test]
fn what_is_made_against_an_alternating_pattern_removes_it() {
    let e = 4.0 / 255.0;
    let shape = [1, 12, 6, 5];
    let image: Vec<f32> = (0..12 * 30)
        .map(|i| 0.5 + if i / 30 % 2 == 0 { e } else { -e })
        .collect();
    for (spec, left) in [
        ("slab-mean:2", 0.0),
        ("slab-mean:3", e / 3.0),
        // Only every second slice is left: e everywhere.
        ("skip-slices:2", 0.0),
        // The median of three is the neighbours' value: the pattern turns over.
        ("median-z:3", e),
        ("gaussian-blur:1", 0.02 * e),
        ("total-variation:0.02", 0.02 * e),
    ] {
        let mut volume = LabelledVolume::new(image.clone(), vec![0; 360], shape).unwrap();
        find(spec).unwrap().apply(&mut volume, 0);
        // Amplitude of the alternation in the middle, away from the borders.
        let at = |z: usize| volume.image()[z * 30 + 12];
        let amplitude = (at(6) - at(5)).abs() / 2.0;
        assert!(amplitude <= left + 1e-6, "{spec}: {amplitude} of {e}");
    }
}

/// A pattern that repeats within a label is taken away, whatever lies under it, and what does not repeat is left but for its own mean.
#[test]
fn a_periodic_mean_takes_patterns_away_and_leaves_the_rest() {
    let shape = [8, 12, 16];
    let voxels = shape.iter().product();
    let at = |i: usize| [i / 192, i / 16 % 12, i % 16];
    let label: Vec<u16> = (0..voxels)
        .map(|i| [0, 7][usize::from(at(i)[1] >= 4)])
        .collect();
    let noise = |label: u16, period: usize, voxel: usize| {
        let [z, y, x] = at(voxel).map(|at| at % period);
        ((z * 31 + y * 17 + x * 7 + usize::from(label)) % 13) as f32 / 13.0
    };
    let clean: Vec<f32> = (0..voxels)
        .map(|i| (i * 7919 % 101) as f32 / 101.0)
        .collect();
    let run = |image: &[f32], period: usize| {
        let shape = [1, shape[0], shape[1], shape[2]];
        let mut volume = LabelledVolume::new(image.to_vec(), label.clone(), shape).unwrap();
        let defence = find(&format!("periodic-mean:{period}")).unwrap();
        defence.apply(&mut volume, 0);
        assert_eq!(volume.label(), label);
        volume.into_parts().0
    };
    for period in [2, 4] {
        let patterns = (0..voxels).map(|i| noise(label[i], period, i));
        let image: Vec<f32> = clean.iter().zip(patterns).map(|(x, n)| x + n).collect();
        // With the pattern and without it the same is left, but for the pattern's mean over the label.
        let (with, without) = (run(&image, period), run(&clean, period));
        for label_here in [0, 7] {
            let own = || (0..voxels).filter(|&i| label[i] == label_here);
            let shift = own().map(|i| f64::from(with[i] - without[i])).sum::<f64>();
            let shift = (shift / own().count() as f64) as f32;
            for voxel in own() {
                assert!((with[voxel] - without[voxel] - shift).abs() < 1e-5);
            }
        }
        // Another period is not seen.
        assert_ne!(run(&image, period + 1), run(&clean, period + 1));
        // Of the mean of a place, by hand.
        let place = [1, 5, 3].map(|at| at % period);
        let own: Vec<usize> = (0..voxels)
            .filter(|&i| label[i] == 7 && at(i).map(|at| at % period) == place)
            .collect();
        let all: Vec<usize> = (0..voxels).filter(|&i| label[i] == 7).collect();
        let mean =
            |of: &[usize]| of.iter().map(|&i| f64::from(clean[i])).sum::<f64>() / of.len() as f64;
        let voxel = 192 + 5 * 16 + 3;
        let expected = f64::from(clean[voxel]) - mean(&own) + mean(&all);
        assert!((f64::from(without[voxel]) - expected).abs() < 1e-6);
    }
}
