//! Normalisation, against the reference's numbers in `tests/golden/i_*.safetensors` where they have the same meaning.

use ndarray::{Array3, Array4, Axis, Ix3};
use voxshield_data::{
    Affine, CtStatisticsBuilder, DataError, IntensityError, IntensityRange, LabelMap, Modality,
    Normalisation, Volume, write_new,
};

use crate::support::Fixture;

/// A volume with the array's values at canonical (x, y, z).
fn volume(folder: &tempfile::TempDir, name: &str, values: &Array3<f32>) -> Volume {
    let path = folder.path().join(format!("{name}.nii"));
    write_new(&path, values.view(), &Affine::from_spacing([1.0; 3])).unwrap();
    Volume::open(&[path]).unwrap()
}

/// `[channel, z, x, y]` back to (x, y, z).
fn xyz(array: &Array4<f32>) -> Array3<f32> {
    let volume = array.index_axis(Axis(0), 0);
    volume.permuted_axes([1, 2, 0]).to_owned()
}

fn assert_close(found: f32, expected: f32, tolerance: f32) {
    assert!((found - expected).abs() <= tolerance, "{found} {expected}");
}

#[test]
fn mri_is_the_references_inside_its_mask() {
    let fixture = Fixture::open("i_normalise.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let values = fixture.f32::<Ix3>("mri");
    let volume = volume(&folder, "mri", &values);
    let range = Normalisation::Mri.range(&volume, 0).unwrap();
    let normalised = xyz(&range.normalise(volume.array().view()));
    let mut outside = 0;
    let expected = fixture.f32::<Ix3>("mri_z01");
    let scores = fixture.f32::<Ix3>("mri_z");
    for (((&value, &found), &expected), &score) in
        values.iter().zip(&normalised).zip(&expected).zip(&scores)
    {
        if value > 0.0 {
            assert_close(found, expected, 2e-6);
            assert_close(10.0 * found - 5.0, score.clamp(-5.0, 5.0), 2e-5);
        } else {
            // The reference puts these at the mean (0.5); here they keep their order below it (DESIGN.md, section 2).
            assert_eq!((expected, score), (0.5, 0.0));
            assert!(found < 0.5);
            outside += 1;
        }
    }
    assert!(outside > 0 && outside < values.len());
}

#[test]
fn mri_without_contrast_is_an_error_where_the_reference_divides_by_one() {
    let fixture = Fixture::open("i_normalise.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let constant = volume(&folder, "constant", &fixture.f32::<Ix3>("mri_const"));
    let error = Normalisation::Mri.range(&constant, 0).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Intensity(IntensityError::ConstantImage { channel: 0, .. })
        ),
        "{error}"
    );
    let empty = volume(&folder, "empty", &Array3::zeros((2, 3, 2)));
    let error = Normalisation::Mri.range(&empty, 0).unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Intensity(IntensityError::NoPositiveVoxels { channel: 0, .. })
        ),
        "{error}"
    );
    // The reference makes a volume of 0.5 from either.
    for grey in ["mri_const_z01", "mri_empty_z01"] {
        assert!(fixture.f32::<Ix3>(grey).iter().all(|&v| v == 0.5), "{grey}");
    }
    let error = Normalisation::Mri.range(&empty, 1).unwrap_err();
    assert!(
        matches!(error, DataError::ChannelCount { found: 1, .. }),
        "{error}"
    );
}

#[test]
fn window_is_the_references() {
    let fixture = Fixture::open("i_normalise.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let volume = volume(&folder, "ct", &fixture.f32::<Ix3>("ct"));
    // Level 50, width 400.
    let window = Normalisation::Window {
        lo: -150.0,
        hi: 250.0,
    };
    let range = window.range(&volume, 0).unwrap();
    let normalised = xyz(&range.normalise(volume.array().view()));
    let (expected, signed) = (
        fixture.f32::<Ix3>("ct_window"),
        fixture.f32::<Ix3>("ct_window_pm1"),
    );
    for ((&found, &expected), &signed) in normalised.iter().zip(&expected).zip(&signed) {
        assert_close(found, expected, 2e-6);
        assert_close(2.0 * found - 1.0, signed, 4e-6);
    }
}

#[test]
fn a_range_about_the_mean_is_the_references_z_score_of_ct() {
    let fixture = Fixture::open("i_normalise.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let values = fixture.f32::<Ix3>("ct");
    // The reference takes voxels above -500 for the body.
    let body: Vec<f64> = values
        .iter()
        .filter(|v| **v > -500.0)
        .map(|v| f64::from(*v))
        .collect();
    assert!(body.len() > 100 && body.len() < values.len());
    let mean = body.iter().sum::<f64>() / body.len() as f64;
    let variance = body.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / body.len() as f64;
    let reach = 5.0 * variance.sqrt();
    let range = IntensityRange::new(mean - reach, mean + reach).unwrap();
    let normalised = xyz(&range.normalise(volume(&folder, "ct", &values).array().view()));
    let expected = fixture.f32::<Ix3>("ct_zscore01");
    for ((&value, &found), &expected) in values.iter().zip(&normalised).zip(&expected) {
        if value > -500.0 {
            assert_close(found, expected, 2e-6);
        } else {
            assert_eq!(expected, 0.5);
        }
    }
}

#[test]
fn ct_range_is_the_references_between_the_percentiles() {
    let fixture = Fixture::open("i_normalise.safetensors");
    let facts: serde_json::Value = serde_json::from_str(&fixture.metadata("ct_nnunet")).unwrap();
    let fact = |name: &str| facts[name].as_f64().unwrap();
    let (mean, sd) = (fact("global_mean"), fact("global_std"));
    let folder = tempfile::tempdir().unwrap();
    let values = fixture.f32::<Ix3>("ct");
    let volume = volume(&folder, "ct", &values);
    let range = IntensityRange::new(mean - 5.0 * sd, mean + 5.0 * sd).unwrap();
    let normalised = xyz(&range.normalise(volume.array().view()));
    let mut between = 0;
    let expected = fixture.f32::<Ix3>("ct_nnunet01");
    let scores = fixture.f32::<Ix3>("ct_nnunet_raw");
    for (((&value, &found), &expected), &score) in
        values.iter().zip(&normalised).zip(&expected).zip(&scores)
    {
        // Outside, the reference saturates at the percentiles, this at five standard deviations.
        if (fact("lower_bound")..=fact("upper_bound")).contains(&f64::from(value)) {
            assert_close(found, expected, 2e-6);
            assert_close(10.0 * found - 5.0, score.clamp(-5.0, 5.0), 2e-5);
            between += 1;
        }
    }
    assert!(between > 100);
}

#[test]
fn dataset_statistics_are_numpys_and_clip_as_the_design_says() {
    let fixture = Fixture::open("i_dataset_stats.safetensors");
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CtStatisticsBuilder::new();
    let mut foreground = vec![];
    for case in 0..3 {
        let values = fixture.f32::<Ix3>(&format!("vol{case}"));
        let labels = fixture.u8::<Ix3>(&format!("seg{case}"));
        foreground.extend(
            values
                .iter()
                .zip(&labels)
                .filter(|(_, l)| **l > 0)
                .map(|(v, _)| f64::from(*v)),
        );
        let image = volume(&folder, &format!("vol{case}"), &values);
        let path = folder.path().join(format!("seg{case}.nii.gz"));
        write_new(&path, labels.view(), &Affine::from_spacing([1.0; 3])).unwrap();
        builder
            .add(&image, 0, &LabelMap::open(&path).unwrap())
            .unwrap();
    }
    assert_eq!(builder.seen() as usize, foreground.len());
    let statistics = builder.finish().unwrap();
    let fact = |name: &str| fixture.metadata(name).parse::<f64>().unwrap();
    let relative = |found: f64, expected: f64| ((found - expected) / expected).abs();
    // The reference's mean and sd are those of the unclipped foreground.
    assert!(relative(statistics.unclipped_mean, fact("mean")) < 1e-6);
    assert!(relative(statistics.unclipped_sd, fact("std")) < 1e-6);
    assert!(relative(statistics.p005, fact("percentile_00_5")) < 1e-6);
    assert!(relative(statistics.p995, fact("percentile_99_5")) < 1e-6);
    // The design's are those after clipping.
    let clipped: Vec<f64> = foreground
        .iter()
        .map(|v| v.clamp(statistics.p005, statistics.p995))
        .collect();
    let mean = clipped.iter().sum::<f64>() / clipped.len() as f64;
    let variance = clipped.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / clipped.len() as f64;
    assert!(relative(statistics.mean, mean) < 1e-12);
    assert!(relative(statistics.sd, variance.sqrt()) < 1e-12);
    assert!(statistics.sd < statistics.unclipped_sd);
    let image = volume(&folder, "any", &fixture.f32::<Ix3>("vol0"));
    let range = Normalisation::Ct(statistics).range(&image, 0).unwrap();
    assert!(relative(range.lo, mean - 5.0 * statistics.sd) < 1e-12);
    assert!(relative(range.hi, mean + 5.0 * statistics.sd) < 1e-12);
}

#[test]
fn statistics_refuse_labels_of_another_shape() {
    let folder = tempfile::tempdir().unwrap();
    let image = volume(&folder, "image", &Array3::ones((2, 3, 4)));
    let path = folder.path().join("label.nii");
    write_new(
        &path,
        Array3::<u8>::ones((2, 3, 5)).view(),
        &Affine::from_spacing([1.0; 3]),
    )
    .unwrap();
    let labels = LabelMap::open(&path).unwrap();
    let mut builder = CtStatisticsBuilder::new();
    let error = builder.add(&image, 0, &labels).unwrap_err();
    assert!(matches!(error, DataError::Shape { .. }), "{error}");
    let error = builder.add(&image, 3, &labels).unwrap_err();
    assert!(matches!(error, DataError::ChannelCount { .. }), "{error}");
}

#[test]
fn modality_is_guessed_from_air() {
    let folder = tempfile::tempdir().unwrap();
    let mut values = Array3::from_elem((3, 3, 3), 40.0);
    assert_eq!(
        Modality::guess(&volume(&folder, "mr", &values)),
        Modality::Mri
    );
    values[[1, 2, 0]] = -500.0;
    assert_eq!(
        Modality::guess(&volume(&folder, "ct", &values)),
        Modality::Ct
    );
}

#[test]
fn normalisation_is_named_json() {
    let window = Normalisation::Window {
        lo: -150.0,
        hi: 250.5,
    };
    let text = serde_json::to_string(&window).unwrap();
    assert_eq!(text, r#"{"kind":"window","lo":-150.0,"hi":250.5}"#);
    assert_eq!(
        serde_json::from_str::<Normalisation>(&text).unwrap(),
        window
    );
    let text = serde_json::to_string(&Normalisation::Mri).unwrap();
    assert_eq!(text, r#"{"kind":"mri"}"#);
}

#[test]
fn each_channel_has_a_guess_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let ct = Array3::from_shape_fn((3, 3, 3), |(i, _, _)| 40.0 - 1000.0 * i as f32);
    let pet = Array3::from_elem((3, 3, 3), 8.0);
    let mut files = volume(&folder, "ct", &ct).files().to_vec();
    files.extend(volume(&folder, "pet", &pet).files().iter().cloned());
    let both = Volume::from_files(files).unwrap();
    let guesses = [0, 1, 2].map(|channel| Modality::guess_channel(&both, channel));
    assert_eq!(guesses, [Modality::Ct, Modality::Mri, Modality::Mri]);
    assert_eq!(Modality::guess(&both), Modality::Ct);
}

/// Diffusion coefficients in square metres a second are about 1e-9; a constant is one in any unit.
#[test]
fn what_is_constant_does_not_depend_on_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    for unit in [1e-9_f32, 1.0, 1e9] {
        let varied = Array3::from_shape_fn((4, 4, 4), |(i, j, k)| {
            (5 + (i + 2 * j + 3 * k) % 7) as f32 * unit
        });
        let image = volume(&folder, "varied", &varied);
        let range = Normalisation::Mri.range(&image, 0).unwrap();
        assert!(range.width() > 10.0 * f64::from(unit), "{range:?}");
        let path = folder.path().join("label.nii");
        let ones = Array3::<u8>::ones((4, 4, 4));
        write_new(&path, ones.view(), &Affine::from_spacing([1.0; 3])).unwrap();
        let labels = LabelMap::open(&path).unwrap();
        let statistics = |image: &Volume| {
            let mut builder = CtStatisticsBuilder::new();
            builder.add(image, 0, &labels).unwrap();
            builder.finish()
        };
        assert!(statistics(&image).is_ok(), "{unit}");
        let constant = volume(
            &folder,
            "constant",
            &Array3::from_elem((4, 4, 4), 1.1 * unit),
        );
        assert!(Normalisation::Mri.range(&constant, 0).is_err(), "{unit}");
        assert!(statistics(&constant).is_err(), "{unit}");
    }
}

#[test]
fn a_voxel_far_above_the_others_stretches_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let mut values = Array3::from_shape_fn((12, 12, 12), |(i, j, k)| {
        (100 + (7 * i + 5 * j + 3 * k) % 60) as f32
    });
    let stretched = |values: &Array3<f32>, normalisation: Normalisation| {
        let image = volume(&folder, "a", values);
        let range = normalisation.range(&image, 0).unwrap();
        normalisation.is_stretched(&image, 0, &range)
    };
    assert!(!stretched(&values, Normalisation::Mri));
    values[[1, 2, 3]] = 1e6;
    assert!(stretched(&values, Normalisation::Mri));
    let window = Normalisation::Window { lo: 0.0, hi: 1e7 };
    assert!(!stretched(&values, window));
}
