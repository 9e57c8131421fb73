use std::collections::BTreeMap;

use ndarray::ArrayView4;

use super::{
    detector::detect,
    labelled::LabelledSet,
    plan::{Context, NamedSet},
    training::native_labels,
};
use crate::{
    data::{Case, IntensityRange, Modality},
    eval::{
        metrics::{
            NoiseMetrics, depth_power, psnr, psnr_in_percentiles, psnr_inside, ssim, ssim_inside,
        },
        record::{DetectorScore, Quality, Shift, Spectrum, Spread},
    },
    pipeline::{PipelineError, PreparedCase},
};

/// Compares a protected set with its clean original, case by case.
pub(super) fn quality(
    context: &Context<'_>,
    named: &NamedSet,
    clean: &LabelledSet,
) -> Result<Option<Quality>, PipelineError> {
    let Some(manifest) = &named.set.manifest else {
        return Ok(None);
    };
    let ranges: BTreeMap<&str, &[IntensityRange]> = manifest
        .cases
        .iter()
        .map(|case| (case.id.as_str(), case.ranges.as_slice()))
        .collect();
    let mut sums = Sums::default();
    for case in &named.set.cases {
        let twin = clean.case(&case.id);
        let (Some(twin), Some(ranges)) = (twin, ranges.get(case.id.as_str())) else {
            continue;
        };
        sums.add(context, named, case, clean, twin, ranges)?;
    }
    Ok(sums.finish(&named.name, &named.set.modalities))
}

/// What is added up over the cases.
#[derive(Default)]
struct Sums {
    psnr: Vec<f64>,
    psnr_percentiles: Vec<f64>,
    psnr_roi: Vec<f64>,
    ssim: Vec<f64>,
    ssim_roi: Vec<f64>,
    noise: Vec<NoiseMetrics>,
    changed: f64,
    /// (sum over changed voxels, changed voxels, largest) of each channel.
    shift: Vec<(f64, usize, f64)>,
    spectra: [Bins; 3],
    aucs: [Vec<f64>; 3],
}

impl Sums {
    fn add(
        &mut self,
        context: &Context<'_>,
        named: &NamedSet,
        case: &Case,
        clean: &LabelledSet,
        twin: &Case,
        ranges: &[IntensityRange],
    ) -> Result<(), PipelineError> {
        let before = PreparedCase::open(&clean.dataset, twin)?;
        let after = PreparedCase::open(&named.set.dataset, case)?;
        let shape = before.volume.shape();
        let (a, b) = (before.normalised(ranges), after.normalised(ranges));
        let labels = native_labels(&before);
        let inside: Vec<bool> = labels.iter().map(|&label| label > 0).collect();
        let finite = |value: f64| value.is_finite().then_some(value);
        self.psnr.extend(finite(psnr(&a, &b)?));
        self.psnr_percentiles
            .extend(psnr_in_percentiles(&a, &b, shape)?.and_then(finite));
        self.psnr_roi
            .extend(psnr_inside(&a, &b, &inside)?.and_then(finite));
        self.ssim.push(ssim(&a, &b, shape)?);
        self.ssim_roi.extend(ssim_inside(&a, &b, shape, &inside)?);
        self.noise.push(NoiseMetrics::measure(&a, &b, shape)?);
        let changed = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        self.changed += changed as f64 / a.len() as f64;
        let (stored, written) = (before.volume.array(), after.volume.array());
        self.add_shift(stored.view(), written.view(), &named.set.modalities);
        let delta: Vec<f32> = a.iter().zip(&b).map(|(a, b)| b - a).collect();
        for (spectrum, values) in self.spectra.iter_mut().zip([&a, &b, &delta]) {
            spectrum.add(&depth_power(values, shape)?, shape[0]);
        }
        if context.options.detector {
            let found = detect(&a, &b, &inside, shape)?;
            for (all, auc) in
                self.aucs
                    .iter_mut()
                    .zip([found.label, found.clean_label, found.support])
            {
                all.extend(auc);
            }
        }
        Ok(())
    }

    /// Adds the change of a case in file units.
    fn add_shift(
        &mut self,
        before: ArrayView4<'_, f32>,
        after: ArrayView4<'_, f32>,
        modalities: &[Modality],
    ) {
        self.shift.resize(modalities.len(), (0.0, 0, 0.0));
        let channels = before.outer_iter().zip(after.outer_iter());
        for (((before, after), modality), sum) in channels.zip(modalities).zip(&mut self.shift) {
            let unit = match modality {
                Modality::Ct => 1.0,
                Modality::Mri => {
                    let positive = before.iter().filter(|&&v| v > 0.0).map(|&v| f64::from(v));
                    let spread = Spread::of(positive).map_or(1.0, |spread| spread.sd);
                    if spread > 0.0 { spread } else { 1.0 }
                }
            };
            for (a, b) in before.iter().zip(after).filter(|(a, b)| a != b) {
                let by = (f64::from(*b) - f64::from(*a)).abs() / unit;
                *sum = (sum.0 + by, sum.1 + 1, sum.2.max(by));
            }
        }
    }

    fn finish(self, name: &str, modalities: &[Modality]) -> Option<Quality> {
        let cases = self.noise.len();
        let mean = |values: &[f64]| Spread::of(values.iter().copied()).map(|spread| spread.mean);
        let average = |part: fn(&NoiseMetrics) -> f64| {
            self.noise.iter().map(part).sum::<f64>() / cases as f64
        };
        let [clean, protected, delta] = &self.spectra;
        let detector = || {
            Some(DetectorScore {
                label_auc: mean(&self.aucs[0])?,
                clean_label_auc: mean(&self.aucs[1])?,
                // Noise that changes every voxel has no support to tell from the rest.
                support_auc: mean(&self.aucs[2]),
            })
        };
        Some(Quality {
            training_set: name.to_owned(),
            cases,
            psnr_db: mean(&self.psnr),
            psnr_percentiles_db: mean(&self.psnr_percentiles),
            psnr_roi_db: mean(&self.psnr_roi),
            ssim: mean(&self.ssim)?,
            ssim_roi: mean(&self.ssim_roi),
            noise: NoiseMetrics {
                l1: average(|n| n.l1),
                l2: average(|n| n.l2),
                linf: self.noise.iter().map(|n| n.linf).fold(0.0, f64::max),
                tv: average(|n| n.tv),
                gradient: average(|n| n.gradient),
            },
            changed_share: self.changed / cases as f64,
            shift: self
                .shift
                .iter()
                .zip(modalities)
                .enumerate()
                .map(|(channel, (&(sum, count, largest), modality))| Shift {
                    channel,
                    unit: if *modality == Modality::Ct {
                        "HU"
                    } else {
                        "sd"
                    }
                    .to_owned(),
                    mean: sum / count.max(1) as f64,
                    largest,
                })
                .collect(),
            spectrum: Spectrum {
                frequencies: clean.frequencies(),
                clean: clean.power(),
                protected: protected.power(),
                delta: delta.power(),
            },
            utility: Vec::new(),
            detector: detector(),
        })
    }
}

/// Frequencies of the common scale for volumes of any depth: 0 to 0.5 cycles per voxel in 32 steps.
const BINS: usize = 33;

/// Spectra along z of several volumes, gathered at the nearest frequency of the common scale.
#[derive(Default)]
struct Bins {
    /// (sum, count) of each frequency.
    bins: Vec<(f64, usize)>,
}

impl Bins {
    fn add(&mut self, power: &[f64], depth: usize) {
        self.bins.resize(BINS, (0.0, 0));
        for (k, power) in power.iter().enumerate() {
            let bin = (2 * (BINS - 1) * k + depth / 2) / depth;
            let (sum, count) = &mut self.bins[bin.min(BINS - 1)];
            *sum += power;
            *count += 1;
        }
    }

    fn frequencies(&self) -> Vec<f64> {
        let all = self
            .bins
            .iter()
            .enumerate()
            .filter(|(_, (_, count))| *count > 0);
        all.map(|(bin, _)| 0.5 * bin as f64 / (BINS - 1) as f64)
            .collect()
    }

    fn power(&self) -> Vec<f64> {
        let all = self.bins.iter().filter(|(_, count)| *count > 0);
        all.map(|&(sum, count)| sum / count as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, Array4};

    use super::{
        super::{
            EvaluateOptions,
            fixtures::{Drawn, context, named, publish, write},
        },
        *,
    };
    use crate::eval::record::Role;

    /// The quality of a protected set in which voxels of a constant 5 went up and down by 1 from slice to slice, those of each case that
    /// `changed` says; 0..10 is the range.
    fn measured(changed: &[fn(usize) -> bool]) -> Quality {
        let folder = tempfile::tempdir().unwrap();
        let [clean, protected] = ["clean", "protected"].map(|name| folder.path().join(name));
        let labels = Array3::from_shape_fn((4, 2, 2), |(z, _, _)| u8::from(z < 2));
        let drawn = |delta: f32| -> Vec<Drawn> {
            let case = |changed: &fn(usize) -> bool| {
                let image = Array3::from_shape_fn((4, 2, 2), |(z, y, x)| {
                    match changed(4 * z + 2 * y + x) {
                        true => 5.0 + [delta, -delta][z % 2],
                        false => 5.0,
                    }
                });
                (image, labels.clone())
            };
            changed.iter().map(case).collect()
        };
        write(&clean, [1.0; 3], &drawn(0.0));
        write(&protected, [1.0; 3], &drawn(1.0));
        publish(&protected, &clean, (0.0, 10.0));
        let options = EvaluateOptions::default();
        let sets = vec![
            named("clean", Role::Clean, &clean),
            named("protected", Role::Protected, &protected),
        ];
        // The test cases play no part.
        let all = context(&options, sets, &clean);
        quality(&all, &all.sets[1], all.clean().unwrap())
            .unwrap()
            .unwrap()
    }

    #[test]
    fn noise_in_every_voxel_leaves_the_other_results() {
        let found = measured(&[|_| true]);
        assert_eq!((found.cases, found.changed_share), (1, 1.0));
        let detector = found.detector.unwrap();
        assert_eq!(
            (detector.clean_label_auc, detector.support_auc),
            (0.5, None)
        );
        // 20 log10(1 / 0.1); the clean volume has no extent of its own.
        assert!((found.psnr_db.unwrap() - 20.0).abs() < 1e-4);
        assert_eq!(found.psnr_percentiles_db, None);
        // 0.5^2 and 0.1^2, times four slices, at the ends of the spectrum.
        let spectrum = &found.spectrum;
        assert_eq!(spectrum.frequencies, [0.0, 0.25, 0.5]);
        for (found, expected) in [
            (&spectrum.clean, [1.0, 0.0, 0.0]),
            (&spectrum.protected, [1.0, 0.0, 0.04]),
            (&spectrum.delta, [0.0, 0.0, 0.04]),
        ] {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{spectrum:?}");
            }
        }
    }

    /// All 16 voxels of one case, 4 of the other.
    #[test]
    fn the_changed_share_is_a_mean_over_the_cases() {
        let found = measured(&[|_| true, |place| place < 4]);
        assert_eq!((found.cases, found.changed_share), (2, (1.0 + 0.25) / 2.0));
        assert!(found.detector.unwrap().support_auc.is_some());
    }

    #[test]
    fn a_shift_has_the_units_of_its_modality() {
        let mut sums = Sums::default();
        let volume = |values: [f32; 4]| Array4::from_shape_vec((2, 1, 1, 2), values.to_vec());
        // A channel of CT and one of MRI, of which one voxel does not change; the deviation of 1 and 3 is sqrt(2).
        let before = volume([-600.0, 100.0, 1.0, 3.0]).unwrap();
        let after = volume([-590.0, 70.0, 2.0, 3.0]).unwrap();
        let modalities = [Modality::Ct, Modality::Mri];
        sums.add_shift(before.view(), after.view(), &modalities);
        let close = |found: f64, expected: f64| (found - expected).abs() < 1e-12;
        let (noise, ssim) = (NoiseMetrics::measure(&[0.0], &[1.0], [1; 3]).unwrap(), 1.0);
        sums.noise.push(noise);
        sums.ssim.push(ssim);
        let found = sums.finish("protected", &modalities).unwrap().shift;
        assert_eq!((found[0].channel, found[0].unit.as_str()), (0, "HU"));
        assert_eq!((found[0].mean, found[0].largest), (20.0, 30.0));
        assert_eq!((found[1].channel, found[1].unit.as_str()), (1, "sd"));
        let one = 1.0 / 2f64.sqrt();
        assert!(close(found[1].mean, one) && close(found[1].largest, one));
    }

    #[test]
    fn depths_share_one_scale_of_frequencies() {
        let mut bins = Bins::default();
        bins.add(&[1.0, 2.0, 3.0], 4);
        assert_eq!(bins.frequencies(), [0.0, 0.25, 0.5]);
        bins.add(&[5.0, 4.0], 2);
        assert_eq!(bins.frequencies(), [0.0, 0.25, 0.5]);
        assert_eq!(bins.power(), [3.0, 2.0, 3.5]);
        // An odd depth ends below one half.
        bins.add(&[0.0, 7.0], 3);
        assert_eq!(bins.power()[2], 7.0);
        assert!((bins.frequencies()[2] - 1.0 / 3.0).abs() < 0.01);
    }
}
