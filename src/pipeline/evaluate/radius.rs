//! The radius of adversarial training: that of the protection, as the victim sees it.

use std::collections::{BTreeMap, btree_map::Entry};

use super::{
    labelled::LabelledSet,
    plan::{Context, NamedSet},
    preprocess::Preprocessor,
};
use crate::{
    eval::{
        Preprocessing,
        record::{Role, Spread},
    },
    pipeline::{PipelineError, PreparedCase},
};

/// The training-side defence that has the radius of the protection.
const ADVERSARIAL: &str = "adversarial-training";
/// Cases that a radius is measured on.
const CASES: usize = 8;

/// The radii of a plan, each measured once.
pub(super) struct Radii<'a> {
    context: &'a Context<'a>,
    /// By the place of the set that was measured.
    known: BTreeMap<(usize, Preprocessing), f64>,
}

impl<'a> Radii<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Self {
        Self {
            context,
            known: BTreeMap::new(),
        }
    }

    /// Adversarial training in the radius of the protection for the set at a place of [`Context::sets`], unless another was asked for; other
    /// defences as they are.
    pub(super) fn of(
        &mut self,
        defence: &str,
        set: usize,
        preprocessing: Preprocessing,
    ) -> Result<String, PipelineError> {
        let Some(protected) = self.protected(set).filter(|_| defence == ADVERSARIAL) else {
            return Ok(defence.to_owned());
        };
        let radius = match self.known.entry((protected, preprocessing)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(unknown) => {
                let set = &self.context.sets[protected].set;
                let options = self.context.options;
                let preprocessor =
                    Preprocessor::fit(preprocessing, set, options.grid, options.target_spacing);
                *unknown.insert(radius(set, &preprocessor)?)
            }
        };
        Ok(format!("{defence}:{radius:.4}"))
    }

    /// The set whose protection a set is attacked against: itself, or the one under test, which controls and sets without a manifest are
    /// compared with.
    fn protected(&self, set: usize) -> Option<usize> {
        let sets = &self.context.sets;
        let own = |set: &NamedSet| set.set.manifest.is_some();
        match sets[set].role {
            Role::Protected | Role::Other if own(&sets[set]) => Some(set),
            _ => {
                let mut all = sets.iter();
                all.position(|set| set.role == Role::Protected && own(set))
            }
        }
    }
}

/// Epsilon in the units of a victim's intensities: epsilon times what the protection calls 0..1, over what the victim divides by, the mean over
/// some cases and all channels. The two are no fixed multiple of each other: the protection's range comes from the voxels above 0, the clipped
/// foreground or a window, a victim's unit from the whole volume, its non-zero box or the foreground.
fn radius(set: &LabelledSet, preprocessor: &Preprocessor) -> Result<f64, PipelineError> {
    let mut ratios = Vec::new();
    let cases = set.cases.iter();
    let known = cases.filter_map(|case| Some((case, set.ranges(case).ok()?)));
    for (case, ranges) in known.take(CASES) {
        let image = PreparedCase::open(&set.dataset, case)?.volume.array();
        let units = preprocessor.units(image.view());
        ratios.extend(ranges.iter().zip(units).map(|(r, unit)| r.width() / unit));
    }
    let epsilon = set.manifest.as_ref().map(|manifest| manifest.epsilon);
    epsilon
        .zip(Spread::of(ratios))
        .map(|(epsilon, ratio)| epsilon * ratio.mean)
        .ok_or_else(|| PipelineError::NoManifest {
            path: set.dataset.root.clone(),
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ndarray::Array3;

    use super::{
        super::{
            EvaluateOptions,
            fixtures::{EPSILON, context, named, open, publish, textured, write},
        },
        *,
    };
    use crate::eval::record::NO_DEFENCE;

    /// Two slices of 0, 1 and 3 in turn, then two of 0. Above 0: mean 2, deviation 1. The box of two slices: mean 1.5, deviation
    /// sqrt(3.75 - 1.5^2). All: mean 0.75, deviation sqrt(1.875 - 0.75^2).
    fn mri(root: &Path) {
        let image = Array3::from_shape_fn((4, 4, 4), |(z, y, x)| match (z, 4 * (y % 2) + x) {
            (2.., _) | (_, 0 | 1) => 0.0,
            (_, place) => [1.0, 3.0][place % 2],
        });
        let mut labels = Array3::zeros((4, 4, 4));
        labels[[0, 1, 1]] = 1;
        write(root, [1.0; 3], &[(image, labels)]);
    }

    /// Two labelled slices of 0 and 40 in turn (deviation 20), then two of -1000. All: mean -490, deviation sqrt(500400 - 490^2).
    fn ct(root: &Path) {
        let image = Array3::from_shape_fn((4, 4, 4), |(z, _, x)| match z {
            2.. => -1000.0,
            _ => [0.0, 40.0][x % 2],
        });
        let labels = Array3::from_shape_fn((4, 4, 4), |(z, _, _)| u8::from(z < 2));
        write(root, [1.0; 3], &[(image, labels)]);
    }

    #[test]
    fn the_radius_is_the_budget_in_what_the_victim_divides_by() {
        // The protection's 0..1: ten deviations of what is above 0; ten of the foreground; a window.
        type Drawn = (fn(&Path), (f64, f64), [f64; 3]);
        let sets: [Drawn; 3] = [
            (
                mri,
                (-3.0, 7.0),
                [10.0 / 1.3125f64.sqrt(), 1.0, 10.0 / 1.5f64.sqrt()],
            ),
            (ct, (-80.0, 120.0), [200.0 / 260_300f64.sqrt(), 1.0, 10.0]),
            (
                mri,
                (0.0, 80.0),
                [80.0 / 1.3125f64.sqrt(), 8.0, 80.0 / 1.5f64.sqrt()],
            ),
        ];
        for (draw, range, expected) in sets {
            let folder = tempfile::tempdir().unwrap();
            draw(folder.path());
            publish(folder.path(), folder.path(), range);
            let set = open(folder.path());
            for (kind, expected) in Preprocessing::ALL.into_iter().zip(expected) {
                let preprocessor = Preprocessor::fit(kind, &set, [4; 3], None);
                let found = radius(&set, &preprocessor).unwrap();
                assert!(
                    (found - EPSILON * expected).abs() < 1e-9,
                    "{kind:?} {range:?}: {found}"
                );
            }
        }
    }

    #[test]
    fn controls_and_sets_without_a_manifest_have_the_radius_of_the_set_under_test() {
        let folder = tempfile::tempdir().unwrap();
        let [clean, windowed, other] =
            ["clean", "windowed", "other"].map(|n| folder.path().join(n));
        mri(&clean);
        mri(&windowed);
        mri(&other);
        publish(&windowed, &clean, (0.0, 80.0));
        publish(&other, &clean, (-3.0, 7.0));
        let test = textured(&folder.path().join("test"), 1, &[1]);
        let options = EvaluateOptions::default();
        let sets = vec![
            named("clean", Role::Clean, &clean),
            named("umed", Role::Other, &clean),
            named("other", Role::Other, &other),
            named("protected", Role::Protected, &windowed),
        ];
        let all = context(&options, sets, &test);
        let mut radii = Radii::new(&all);
        let mut of = |defence, set, kind| radii.of(defence, set, kind).unwrap();
        for set in [0, 1, 3] {
            let paper = of(ADVERSARIAL, set, Preprocessing::Paper);
            assert_eq!(paper, "adversarial-training:0.4000");
            // 0.05 * 80 / sqrt(1.3125)
            let plain = of(ADVERSARIAL, set, Preprocessing::Plain);
            assert_eq!(plain, "adversarial-training:3.4915");
        }
        let own = of(ADVERSARIAL, 2, Preprocessing::Paper);
        assert_eq!(own, "adversarial-training:0.0500");
        for asked_for in ["adversarial-training:0.3", "gaussian-blur", NO_DEFENCE] {
            assert_eq!(of(asked_for, 3, Preprocessing::Plain), asked_for);
        }

        let sets = vec![named("protected", Role::Protected, &clean)];
        let unknown = context(&options, sets, &test);
        let name = Radii::new(&unknown).of(ADVERSARIAL, 0, Preprocessing::Plain);
        assert_eq!(name.unwrap(), ADVERSARIAL);
    }
}
