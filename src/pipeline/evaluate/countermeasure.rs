use ndarray::{Array3, Array4, Axis};

use super::{purify::PURIFIER, recompute::Recompute};
use crate::{
    data::CtStatistics,
    eval::{
        EvalError,
        defences::{self, Defence, LabelledVolume},
        record::NO_DEFENCE,
        training::{self, TRAINING_DEFENCES, TrainingDefence},
    },
    pipeline::PipelineError,
};

/// What a victim's owner does against the protection.
#[derive(Debug)]
pub(super) enum Countermeasure {
    /// Nothing.
    None,
    /// A transform of the files before preprocessing.
    Data(Box<dyn Defence>),
    /// A network that predicts the perturbation is trained on pairs and what it says subtracted.
    Purifier,
    /// The perturbation is computed again from what is published.
    Recompute(Recompute),
    /// Something about the training.
    Training(Box<dyn TrainingDefence>),
}

impl Countermeasure {
    /// By the name of a data-side or training-side defence, or `none`.
    pub(super) fn find(name: &str) -> Result<Self, PipelineError> {
        if name == NO_DEFENCE {
            return Ok(Self::None);
        }
        if name == PURIFIER {
            return Ok(Self::Purifier);
        }
        if let Some(how) = Recompute::ALL.into_iter().find(|how| how.name() == name) {
            return Ok(Self::Recompute(how));
        }
        if let Some(defence) = training::find(name)? {
            return Ok(Self::Training(defence));
        }
        defences::find(name).map(Self::Data).map_err(|error| {
            PipelineError::Eval(match error {
                EvalError::UnknownDefence { name, .. } => EvalError::UnknownDefence {
                    name,
                    known: Self::known(),
                },
                other => other,
            })
        })
    }

    /// The names of specifications and groups, each once and `none` first: `cheap` is every defence of which a victim
    /// costs little more than without, `all` is everything in every strength of the registries.
    pub(super) fn resolve(specs: &[String]) -> Result<Vec<String>, PipelineError> {
        let mut all = vec![NO_DEFENCE.to_owned()];
        // A name and its default strength are one defence.
        let mut known = vec![format!("{:?}", Self::None)];
        for spec in specs {
            let group: Vec<String> = match spec.as_str() {
                group if defences::GROUPS.contains(&group) => {
                    let data = defences::resolve(&[group])?;
                    let training = TRAINING_DEFENCES.iter();
                    let training = training.filter(|entry| group == "all" || entry.cheap);
                    data.iter()
                        .map(|defence| defence.spec())
                        .chain(training.map(|entry| entry.name.to_owned()))
                        .chain(Recompute::ALL.map(|how| how.name().to_owned()))
                        .chain((group == "all").then(|| PURIFIER.to_owned()))
                        .collect()
                }
                spec => vec![spec.to_owned()],
            };
            for name in group {
                let what = format!("{:?}", Self::find(&name)?);
                if !known.contains(&what) {
                    known.push(what);
                    all.push(name);
                }
            }
        }
        Ok(all)
    }

    /// The names of all of them and of their groups, for help texts.
    pub(super) fn known() -> Vec<&'static str> {
        let names = defences::GROUPS.into_iter().chain(defences::names());
        names
            .chain(training::names())
            .chain(Recompute::ALL.map(Recompute::name))
            .chain([PURIFIER])
            .collect()
    }

    /// The training-side part.
    pub(super) fn training(&self) -> Option<&dyn TrainingDefence> {
        match self {
            Self::Training(defence) => Some(&**defence),
            Self::None | Self::Data(_) | Self::Purifier | Self::Recompute(_) => None,
        }
    }

    /// Whether its owner can do the same to her own test images.
    pub(super) fn at_test(&self) -> bool {
        matches!(self, Self::Data(defence) if defence.at_test())
    }

    /// Applies a data-side defence to a case in file units.
    ///
    /// The defence sees each channel with its smallest value as 0 and its largest as 1; of CT, the 0.5 and 99.5
    /// percentiles of the training set's foreground, as a user would set the window. `ct` has an entry a channel.
    pub(super) fn apply(
        &self,
        ct: &[Option<CtStatistics>],
        image: &mut Array4<f32>,
        labels: &mut Array3<u16>,
        seed: u64,
    ) -> Result<(), PipelineError> {
        let Self::Data(defence) = self else {
            return Ok(());
        };
        let (channels, depth, height, width) = image.dim();
        let windows: Vec<(f32, f32)> = image
            .axis_iter(Axis(0))
            .zip(ct)
            .map(|(channel, ct)| {
                let (lo, hi) = match ct {
                    Some(ct) => (ct.p005 as f32, ct.p995 as f32),
                    None => channel
                        .iter()
                        .fold((f32::INFINITY, f32::NEG_INFINITY), |(lo, hi), &v| {
                            (lo.min(v), hi.max(v))
                        }),
                };
                (lo, (hi - lo).max(f32::MIN_POSITIVE))
            })
            .collect();
        let mut values = Vec::with_capacity(image.len());
        for (channel, &(lo, range)) in image.axis_iter(Axis(0)).zip(&windows) {
            values.extend(channel.iter().map(|v| (v - lo) / range));
        }
        let shape = [channels, depth, height, width];
        let mut volume = LabelledVolume::new(values, labels.iter().copied().collect(), shape)?;
        defence.apply(&mut volume, seed);
        let (values, moved) = volume.into_parts();
        let voxels = depth * height * width;
        for ((mut channel, values), &(lo, range)) in image
            .axis_iter_mut(Axis(0))
            .zip(values.chunks(voxels))
            .zip(&windows)
        {
            channel
                .iter_mut()
                .zip(values)
                .for_each(|(out, v)| *out = v * range + lo);
        }
        labels
            .iter_mut()
            .zip(moved)
            .for_each(|(out, label)| *out = label);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::s;

    use super::*;
    use crate::pipeline::case::case_seed;

    #[test]
    fn groups_names_and_strengths_are_resolved() {
        let resolve = |specs: &[&str]| {
            let specs: Vec<String> = specs.iter().map(|s| (*s).to_owned()).collect();
            Countermeasure::resolve(&specs)
        };
        assert_eq!(resolve(&[]).unwrap(), ["none"]);
        let some = resolve(&["gamma", "none", "clean-mix:0.05", "gamma"]).unwrap();
        assert_eq!(some, ["none", "gamma", "clean-mix:0.05"]);
        let twice = resolve(&["gamma", "cheap"]).unwrap();
        let gamma = twice.iter().filter(|name| name.starts_with("gamma:1.5"));
        assert_eq!(
            (twice.len(), gamma.count()),
            (resolve(&["cheap"]).unwrap().len(), 0)
        );
        let (cheap, all) = (resolve(&["cheap"]).unwrap(), resolve(&["all"]).unwrap());
        assert!(all.len() > cheap.len());
        for name in &all {
            Countermeasure::find(name).unwrap();
        }
        assert!(cheap.contains(&"clean-mix".to_owned()));
        assert!(cheap.contains(&"recompute".to_owned()) && cheap.contains(&"reapply".to_owned()));
        assert!(!cheap.contains(&"ueraser".to_owned()) && all.contains(&"ueraser".to_owned()));
        assert!(Countermeasure::find("clean-mix:1.5").is_err());
        let error = resolve(&["nothing"]).unwrap_err().to_string();
        for name in ["cheap", "gamma", "ueraser"] {
            assert!(error.contains(name), "{error}");
        }
    }

    const CT: CtStatistics = CtStatistics {
        mean: 40.0,
        sd: 100.0,
        p005: -160.0,
        p995: 240.0,
        unclipped_mean: 40.0,
        unclipped_sd: 100.0,
    };

    fn through(
        name: &str,
        ct: &[Option<CtStatistics>],
        image: &Array4<f32>,
        labels: &Array3<u16>,
        seed: u64,
    ) -> Array4<f32> {
        let (mut image, mut labels) = (image.clone(), labels.clone());
        let defence = Countermeasure::find(name).unwrap();
        defence.apply(ct, &mut image, &mut labels, seed).unwrap();
        image
    }

    /// Not the same one for all cases of a run, and no case by half.
    #[test]
    fn about_half_of_the_cases_are_inverted() {
        let image = Array4::from_shape_fn((1, 2, 3, 4), |(_, z, y, x)| (z + 2 * y + 7 * x) as f32);
        let labels = Array3::zeros((2, 3, 4));
        let negative = image.mapv(|v| 26.0 - v);
        let inverted = (0..40).filter(|case| {
            let seed = case_seed(0, &format!("case_{case:03}"));
            let changed = through("random-inversion:0.5", &[None], &image, &labels, seed);
            let near = |other: &Array4<f32>| {
                let mut pairs = changed.iter().zip(other);
                pairs.all(|(a, b)| (a - b).abs() < 1e-4)
            };
            assert!(near(&image) || near(&negative));
            near(&negative)
        });
        let inverted = inverted.count();
        assert!((10..=30).contains(&inverted), "{inverted}");
    }

    #[test]
    fn what_changes_nothing_gives_file_units_back() {
        let labels = Array3::zeros((3, 4, 5));
        let ramp = |least: f32, step: f32| {
            Array4::from_shape_fn((1, 3, 4, 5), |(_, z, y, x)| {
                least + step * ((z * 4 + y) * 5 + x) as f32
            })
        };
        // Above the window a gamma of 1 cuts nothing: the last values are beyond 240.
        for (ct, image) in [(None, ramp(12.5, 7.25)), (Some(CT), ramp(-159.5, 7.25))] {
            let same = through("gamma:1", &[ct], &image, &labels, 0);
            for (a, b) in same.iter().zip(&image) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }

    #[test]
    fn the_window_of_ct_is_the_percentiles_of_the_foreground() {
        let image = Array4::from_shape_fn((1, 1, 1, 60), |(_, _, _, x)| 50.0 * x as f32 - 1000.0);
        let labels = Array3::zeros((1, 1, 60));
        let cut = through("bit-depth:8", &[Some(CT)], &image, &labels, 0);
        let (lo, hi) = (
            cut.iter().copied().fold(f32::MAX, f32::min),
            cut.iter().copied().fold(f32::MIN, f32::max),
        );
        assert_eq!((lo, hi), (-160.0, 240.0));
    }

    #[test]
    fn each_channel_has_its_own_window_and_means() {
        let wave =
            |c: usize, i: usize| (i as f32 * (0.7 + c as f32)).sin() * (10.0 + 500.0 * c as f32);
        let both = Array4::from_shape_fn((2, 6, 7, 8), |(c, z, y, x)| {
            wave(c, (z * 7 + y) * 8 + x) + 1000.0 * c as f32
        });
        let labels = Array3::from_shape_fn((6, 7, 8), |(z, _, _)| u16::from(z < 3));
        let second = both.slice(s![1..2, .., .., ..]).to_owned();
        let changed = through("periodic-mean:2", &[None, None], &both, &labels, 0);
        let alone = through("periodic-mean:2", &[None], &second, &labels, 0);
        assert_eq!(changed.slice(s![1..2, .., .., ..]), alone);
        assert_ne!(alone, second);
        let first = changed.slice(s![0..1, .., .., ..]);
        assert!(
            first.iter().all(|v| v.abs() < 30.0),
            "in the units of the first channel"
        );
    }
}
