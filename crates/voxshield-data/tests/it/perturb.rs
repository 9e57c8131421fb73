//! The promise `|v' - v| <= epsilon * (hi - lo)`, over datatypes, byte orders, slopes and extreme values.

use ndarray::Array4;
use proptest::prelude::*;
use voxshield_data::{DataError, IntensityRange, StoredVolume, Value, Volume, compare};

use crate::support::{DATATYPES, Nifti, PSR};

const SHAPE: [usize; 4] = [3, 2, 4, 2];
const VOXELS: usize = 3 * 2 * 4 * 2;

/// Little-endian bytes of one extreme or ordinary number of a type, from random bits.
fn voxel(code: i16, kind: u8, bits: u64) -> Vec<u8> {
    let float = |bits: u64| -> f64 {
        let unit = (bits >> 11) as f64 / (1_u64 << 53) as f64;
        match kind % 8 {
            0 => 0.0,
            1 => -0.0,
            2 => 1.7e6 * (unit - 0.2),
            3 => 1e-39 * (unit - 0.5),
            4 => 3000.0 * unit - 1000.0,
            5 => 1e30 * (unit - 0.5),
            6 => 5e-324,
            _ => unit,
        }
    };
    let size = DATATYPES.iter().find(|d| d.0 == code).unwrap().1 as usize / 8;
    match code {
        16 => (float(bits) as f32).to_le_bytes().to_vec(),
        64 => float(bits).to_le_bytes().to_vec(),
        _ => {
            let bits = match kind % 6 {
                0 => 0,
                1 => u64::MAX,
                // Least and greatest of the signed types.
                2 => 1 << (8 * size - 1),
                3 => (1 << (8 * size - 1)) - 1,
                // Just beyond 2^53.
                4 => (1 << 53) + (bits & 7),
                _ => bits,
            };
            bits.to_le_bytes()[..size].to_vec()
        }
    }
}

prop_compose! {
    fn case()(
        datatype in 0..DATATYPES.len(),
        (two, big) in (any::<bool>(), any::<bool>()),
        slope in prop_oneof![
            Just(1.0), Just(1.0), Just(0.0), Just(-1.0), Just(0.362_956_4), Just(7.109_804), Just(-0.5),
            Just(1e-3), Just(1e6), Just(-1e-9),
        ],
        inter in prop_oneof![Just(0.0), Just(-1024.0), Just(1e7), Just(0.1)],
        voxels in prop::collection::vec((any::<u8>(), any::<u64>()), VOXELS),
        lo in -2000.0..2000.0_f64,
        exponent in -6.0..20.0_f64,
        epsilon in prop_oneof![Just(4.0 / 255.0), Just(1.0), 1e-6..1.0_f64],
        deltas in prop::collection::vec(
            prop_oneof![Just(0.0_f64), Just(1.0), Just(-1.0), -2.0..2.0_f64], VOXELS),
    ) -> (Nifti, IntensityRange, f64, Vec<f32>) {
        let code = DATATYPES[datatype].0;
        let bytes = voxels.iter().flat_map(|&(kind, bits)| voxel(code, kind, bits)).collect();
        let mut file = Nifti::new(&SHAPE.map(|s| s as i64), code, bytes).scaled(slope, inter);
        (file.two, file.big, file.srow) = (two, big, PSR);
        // A range as wide as a sensible one for this slope, or far off it.
        let width = 10_f64.powf(exponent) * if slope == 0.0 { 1.0 } else { slope.abs() };
        let range = IntensityRange { lo, hi: lo + width.max(1e-9) };
        let deltas = deltas.iter().map(|d| (d * epsilon) as f32).collect();
        (file, range, epsilon, deltas)
    }
}

/// Delta for the stored voxel (i, j, k, c), by hand: PSR means canonical y = last - i, z = j, x = k.
fn canonical(deltas: &[f32]) -> Array4<f32> {
    let [ni, nj, nk, nc] = SHAPE;
    let mut array = Array4::zeros((nc, nj, nk, ni));
    for (position, &delta) in deltas.iter().enumerate() {
        let (i, j, k) = (position % ni, position / ni % nj, position / ni / nj % nk);
        array[[position / ni / nj / nk, j, k, ni - 1 - i]] = delta;
    }
    array
}

/// `|v' - v|` exactly as a reader of the two files would find it.
fn change(old: Value, new: Value, file: &StoredVolume) -> f64 {
    let scaling = file.scaling();
    match (old, new) {
        (Value::Integer(old), Value::Integer(new)) => {
            scaling.slope.abs() * (new - old).abs() as f64
        }
        (Value::Float(old), Value::Float(new)) => {
            (scaling.slope * new + scaling.inter - (scaling.slope * old + scaling.inter)).abs()
        }
        _ => unreachable!("the datatype changed"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_promise_holds_at_every_voxel((file, range, epsilon, deltas) in case()) {
        let folder = tempfile::tempdir().unwrap();
        let path = file.write(&folder.path().join("in.nii"));
        let volume = match Volume::open(&[path]) {
            // Values beyond f32.
            Err(DataError::NonFinite { .. }) => return Ok(()),
            other => other.unwrap(),
        };
        let clean = &volume.files()[0];
        let ranges = [range, range];
        let delta = canonical(&deltas);
        let slope = clean.scaling().slope;
        let limit = epsilon * range.width();
        let perturbed = match volume.perturb(delta.view(), &ranges, epsilon) {
            Err(DataError::EpsilonBelowOneStep { smallest, channel, .. }) => {
                prop_assert_eq!(channel, 0);
                prop_assert!(clean.datatype().is_integer());
                prop_assert!(slope.abs() > limit || slope.abs() / range.width() > epsilon);
                if smallest <= 1.0 {
                    prop_assert_eq!(volume.epsilon_stored(&ranges, smallest).unwrap(), vec![Some(1); 2]);
                    prop_assert!(volume.epsilon_stored(&ranges, smallest.next_down()).is_err());
                }
                return Ok(());
            }
            other => other.unwrap(),
        };
        // What counts is what is on the disk.
        let out = folder.path().join("out.nii.gz");
        perturbed.files[0].write_atomic(&out).unwrap();
        let protected = Volume::open(&[out]).unwrap();
        let written = &protected.files()[0];
        prop_assert_eq!(written.header_bytes(), clean.header_bytes());
        let size = clean.datatype().size();
        let bytes = clean.voxel_bytes().chunks(size).zip(written.voxel_bytes().chunks(size));
        let (mut worst, mut changed) = (0.0_f64, 0);
        for (((old, new), &delta), (a, b)) in clean.stored_values().zip(written.stored_values()).zip(&deltas).zip(bytes) {
            let change = change(old, new, clean);
            prop_assert!(change <= limit, "{:?} -> {:?}: {} > {}", old, new, change, limit);
            worst = worst.max(change / range.width());
            changed += usize::from(a != b);
            if delta == 0.0 {
                prop_assert_eq!(a, b);
            }
            match (old, new) {
                (Value::Integer(old), Value::Integer(new)) => {
                    let steps = i128::from(perturbed.epsilon_stored[0].unwrap());
                    let (low, high) = clean.datatype().integer_limits().unwrap();
                    let exact = f64::from(delta) * range.width() / slope;
                    let whole = exact.round();
                    let near = (exact - whole).abs() <= 1e-5 * whole.abs();
                    let exact = if near { whole } else { exact };
                    let wanted = if delta.abs() >= epsilon as f32 {
                        if exact < 0.0 { -steps } else { steps }
                    } else {
                        (exact.trunc() as i128).clamp(-steps, steps)
                    };
                    prop_assert_eq!(new, (old + wanted).clamp(low, high));
                }
                (Value::Float(old), Value::Float(new)) => {
                    let direction = f64::from(delta) / slope;
                    prop_assert!((new - old) * direction >= 0.0, "wrong way: {} {} {}", old, new, delta);
                }
                _ => unreachable!(),
            }
        }
        prop_assert!(worst <= perturbed.achieved && perturbed.achieved <= epsilon);
        prop_assert_eq!(changed, perturbed.changed);
        let comparison = compare(&volume, &protected, &ranges, epsilon, None).unwrap();
        prop_assert_eq!(comparison.achieved, perturbed.achieved);
        prop_assert_eq!(comparison.changed as usize, changed);
        prop_assert!(comparison.is_kept());
        if perturbed.epsilon_stored[0].is_some() {
            prop_assert_eq!(worst, perturbed.achieved);
        }
    }
}

fn ramp(epsilon_steps: f32) -> (tempfile::TempDir, Volume, Array4<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<i16> = (0..27).map(|v| v * 100 - 1000).collect();
    let path = Nifti::i16(&[3, 3, 3], &values).write(&folder.path().join("a.nii"));
    let volume = Volume::open(&[path]).unwrap();
    (
        folder,
        volume,
        Array4::from_elem((1, 3, 3, 3), epsilon_steps),
    )
}

#[test]
fn a_saturated_delta_uses_the_whole_budget() {
    // 4/255 as f32 is above or below 4/255: truncating 3.9999998 to 3 would lose a quarter of the amplitude.
    let (_folder, volume, delta) = ramp(4.0 / 255.0);
    let range = IntensityRange::new(0.0, 255.0).unwrap();
    for (sign, delta) in [(1.0, delta.clone()), (-1.0, -delta)] {
        let perturbed = volume.perturb(delta.view(), &[range], 4.0 / 255.0).unwrap();
        assert_eq!(perturbed.epsilon_stored, [Some(4)]);
        assert_eq!(perturbed.changed, 27);
        let moved: Vec<f64> = perturbed.files[0]
            .values()
            .zip(volume.files()[0].values())
            .map(|(new, old)| new - old)
            .collect();
        assert_eq!(moved, [4.0 * sign; 27]);
    }
}

#[test]
fn truncation_is_toward_zero_with_either_sign_of_slope() {
    for slope in [2.0, -2.0] {
        let folder = tempfile::tempdir().unwrap();
        let path = Nifti::i16(&[2, 2, 2], &[100; 8])
            .scaled(slope, 5.0)
            .write(&folder.path().join("a.nii"));
        let volume = Volume::open(&[path]).unwrap();
        let range = IntensityRange::new(0.0, 1000.0).unwrap();
        // 0.0079 * 1000 / 2 = 3.95 steps.
        for (delta, value_change) in [
            (0.0079, 6.0),
            (-0.0079, -6.0),
            (0.0019, 0.0),
            (-0.0019, 0.0),
        ] {
            let delta = Array4::from_elem((1, 2, 2, 2), delta);
            let perturbed = volume.perturb(delta.view(), &[range], 0.05).unwrap();
            let new: Vec<f64> = perturbed.files[0].values().collect();
            assert_eq!(
                new,
                [100.0 * slope + 5.0 + value_change; 8],
                "slope {slope}"
            );
        }
    }
}

#[test]
fn an_epsilon_below_one_step_is_refused_with_one_that_works() {
    let (_folder, volume, delta) = ramp(0.001);
    let range = IntensityRange::new(0.0, 60.0).unwrap();
    let error = volume
        .perturb(delta.view(), &[range], 4.0 / 255.0)
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, DataError::EpsilonBelowOneStep { channel: 0, .. }),
        "{text}"
    );
    assert!(text.contains("a.nii"), "{text}");
    // What the message says, typed in again, works.
    let shown: f64 = text
        .split("at least ")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(volume.epsilon_stored(&[range], shown).unwrap(), [Some(1)]);
}

#[test]
fn bad_arguments_are_typed() {
    let (_folder, volume, delta) = ramp(0.01);
    let range = IntensityRange {
        lo: 0.0,
        hi: 1000.0,
    };
    let error = volume.perturb(delta.view(), &[range; 2], 0.1).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::ChannelCount {
                expected: 1,
                found: 2,
                ..
            }
        ),
        "{error}"
    );
    let flat = IntensityRange { lo: 1.0, hi: 1.0 };
    let error = volume.perturb(delta.view(), &[flat], 0.1).unwrap_err();
    assert!(matches!(error, DataError::InvalidRange { .. }), "{error}");
    let error = volume
        .perturb(delta.view(), &[range], f64::NAN)
        .unwrap_err();
    assert!(matches!(error, DataError::InvalidEpsilon { .. }), "{error}");
    let wrong = Array4::zeros((1, 3, 3, 2));
    let error = volume.perturb(wrong.view(), &[range], 0.1).unwrap_err();
    assert!(matches!(error, DataError::Shape { .. }), "{error}");
    let mut nan = delta;
    nan[[0, 2, 1, 0]] = f32::NAN;
    let error = volume.perturb(nan.view(), &[range], 0.1).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::NonFiniteDelta {
                index: [0, 2, 1, 0],
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn channels_in_several_files_get_their_own_delta_and_budget() {
    let folder = tempfile::tempdir().unwrap();
    let mut float = Nifti::f32(&[2, 3, 4], &[10.25; 24]);
    let mut integer = Nifti::i16(&[2, 3, 4], &[10; 24]);
    (float.srow, integer.srow) = (PSR, PSR);
    let paths = [
        integer.write(&folder.path().join("a.nii.gz")),
        float.write(&folder.path().join("b.nii")),
    ];
    let volume = Volume::open(&paths).unwrap();
    assert_eq!(volume.channels(), 2);
    let ranges = [
        IntensityRange::new(0.0, 100.0).unwrap(),
        IntensityRange::new(0.0, 1.0).unwrap(),
    ];
    let mut delta = Array4::zeros((2, 3, 4, 2));
    delta[[0, 1, 2, 0]] = 0.05;
    delta[[1, 0, 3, 1]] = -0.05;
    let perturbed = volume.perturb(delta.view(), &ranges, 0.1).unwrap();
    assert_eq!(perturbed.epsilon_stored, [Some(10), None]);
    assert_eq!(perturbed.changed, 2);
    // Counted apart: a channel in which nothing changes is not protected.
    let mut perturber = volume.perturber(&ranges, 0.1).unwrap();
    let mut other = delta.clone();
    other[[0, 1, 2, 1]] = 0.05;
    other[[1, 0, 3, 1]] = 0.0;
    let mut copy = volume.clone();
    perturber
        .apply(&mut copy, 0..3, other.view(), None)
        .unwrap();
    assert_eq!(perturber.changed_by_channel(), [2, 0]);
    assert_eq!(perturber.changed(), 2);
    let again = Volume::from_files(perturbed.files).unwrap();
    let difference = again.array() - volume.array();
    assert_eq!(difference[[0, 1, 2, 0]], 5.0);
    assert!((difference[[1, 0, 3, 1]] + 0.05).abs() < 1e-6);
    assert_eq!(difference.iter().filter(|v| **v != 0.0).count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The bound of every voxel is its share of epsilon, on the disk, for every datatype; and `compare` sees one step more.
    #[test]
    fn every_voxel_keeps_its_share_of_epsilon(
        (file, range, epsilon, deltas) in case(),
        shares in prop::collection::vec(prop_oneof![Just(0.0_f32), Just(1.0), 0.0..1.0_f32], VOXELS / 2),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = file.write(&folder.path().join("in.nii"));
        let Ok(volume) = Volume::open(&[path]) else { return Ok(()) };
        let clean = &volume.files()[0];
        let ranges = [range, range];
        let [ni, nj, nk, _] = SHAPE;
        let mut array = Array4::zeros((1, nj, nk, ni));
        for (position, &share) in shares.iter().enumerate() {
            array[[0, position / ni % nj, position / ni / nj, ni - 1 - position % ni]] = share;
        }
        let delta = canonical(&deltas);
        let Ok(perturbed) = volume.perturb_within(delta.view(), array.view(), &ranges, epsilon) else {
            return Ok(());
        };
        let out = folder.path().join("out.nii");
        perturbed.files[0].write_atomic(&out).unwrap();
        let protected = Volume::open(&[out]).unwrap();
        let pairs = clean.stored_values().zip(protected.files()[0].stored_values());
        for ((old, new), &share) in pairs.zip(shares.iter().cycle()) {
            let limit = epsilon * f64::from(share) * range.width();
            let change = change(old, new, clean);
            prop_assert!(change <= limit, "{:?} -> {:?}: {} > {}", old, new, change, limit);
        }
        let found = compare(&volume, &protected, &ranges, epsilon, Some(array.view())).unwrap();
        prop_assert!(found.is_kept(), "{:?}", found);
        // With a hundredth of the shares, what changed by more is over the budget or outside.
        let less = array.mapv(|share| share / 100.0);
        let found = compare(&volume, &protected, &ranges, epsilon, Some(less.view())).unwrap();
        let beyond = clean.stored_values().zip(protected.files()[0].stored_values());
        let beyond = beyond.zip(shares.iter().cycle()).filter(|((old, new), share)| {
            **share > 0.0
                && change(*old, *new, clean) > epsilon * f64::from(**share / 100.0) * range.width()
        });
        prop_assert!(found.over_budget >= beyond.count() as u64);
    }
}

/// Bytes in the window 0..255, and epsilon a whole number of steps: what `Budget::clip` of the optimiser leaves, `min(epsilon, 1 - x)`
/// in f32, is rounded, and loses no step, whatever the share.
#[test]
fn a_saturated_delta_in_a_window_of_whole_steps_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<u8> = (0..=255).collect();
    let path = Nifti::u8(&[16, 4, 4], &values).write(&folder.path().join("a.nii"));
    let volume = Volume::open(&[path]).unwrap();
    let range = IntensityRange::new(0.0, 255.0).unwrap();
    let x = range.normalise(volume.array().view());
    for (steps, share) in [(1, 1.0), (4, 1.0), (8, 1.0), (4, 0.5_f32), (8, 0.25)] {
        let epsilon = f64::from(steps) / 255.0;
        let bound = epsilon as f32 * share;
        let shares = Array4::from_elem((1, 4, 16, 4), share);
        let wanted = (f64::from(steps) * f64::from(share)) as f32;
        for sign in [1.0, -1.0] {
            let delta = x.mapv(|x| {
                sign * if sign > 0.0 {
                    bound.min(1.0 - x)
                } else {
                    bound.min(x)
                }
            });
            let perturbed = volume
                .perturb_within(delta.view(), shares.view(), &[range], epsilon)
                .unwrap();
            let protected = Volume::from_files(perturbed.files).unwrap();
            for (old, new) in volume.array().iter().zip(protected.array()) {
                let expected = (old + sign * wanted).clamp(0.0, 255.0);
                assert_eq!(new, expected, "{steps} {share} {sign} {old}");
            }
            assert!(perturbed.achieved <= epsilon * f64::from(share));
        }
    }
}

/// Rounded, such a file is the clean one again.
#[test]
fn floats_that_are_whole_numbers_have_steps_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let range = IntensityRange::new(0.0, 30.0).unwrap();
    let open = |last: f32| {
        let mut values: Vec<f32> = (0..8).map(|v| v as f32).collect();
        values[7] = last;
        Volume::open(&[Nifti::f32(&[2, 2, 2], &values).write(&folder.path().join("a.nii"))])
            .unwrap()
    };
    let error = open(9.0).epsilon_stored(&[range], 4.0 / 255.0).unwrap_err();
    let DataError::EpsilonBelowOneStep { smallest, .. } = error else {
        panic!("{error}")
    };
    assert!((smallest - 1.0 / 30.0).abs() < 1e-12, "{smallest}");
    assert_eq!(
        open(9.0).epsilon_stored(&[range], smallest).unwrap(),
        [None]
    );
    assert_eq!(
        open(9.5).epsilon_stored(&[range], 4.0 / 255.0).unwrap(),
        [None]
    );
}
