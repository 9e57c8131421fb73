//! What makes each method the one that its source describes.

use std::cell::RefCell;

use burn::tensor::Tensor;
use voxshield_models::TensorMap;
use voxshield_perturb::{
    Budget, Criterion, DeltaStore, Draws, Expectation, Inner, Objective, PerturbError, Seen,
    SurrogateConfig, Transforms, WeightNoise, Window,
};

use super::{CASES, CLASSES, EPSILON, SHAPE, config, run, targets, two_patches, volume, volumes};

/// Error-minimising, and keeps what it saw.
struct Watched {
    inner: Box<dyn Criterion>,
    volumes: RefCell<Vec<Tensor<5>>>,
    weights: RefCell<Vec<TensorMap>>,
}

impl Watched {
    fn new() -> Self {
        Self {
            inner: Objective::ErrorMinimising.criterion(CLASSES),
            volumes: RefCell::default(),
            weights: RefCell::default(),
        }
    }
}

impl Criterion for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        self.volumes.borrow_mut().push(seen.volume.clone().inner());
        self.weights.borrow_mut().push(seen.network.weights()?);
        self.inner.value(seen)
    }
}

/// REM: `max_rho` within its radius; SEM: noise within the same, which is weaker.
#[test]
fn the_inner_adversary_makes_the_criterion_larger_within_its_radius() {
    let targets = targets(&config("rem"));
    let batch = two_patches();
    // Away from the bounds of the intensities, so that nothing is clipped.
    let image = batch.image.clone().clamp(0.2, 0.8);
    let draws = || Draws::new(Budget::new(EPSILON).expect("a budget"), 3);
    let value = |inner: Inner| {
        let expectation = Expectation {
            transforms: Transforms::none(),
            inner,
            ..Expectation::none()
        };
        let watched = Watched::new();
        let estimate = expectation.estimate(
            &watched,
            &targets,
            image.clone(),
            &batch.labels,
            &mut draws(),
        );
        let last = watched.volumes.borrow().last().cloned().expect("a volume");
        let off = (last - image.clone()).abs().max().into_scalar::<f32>();
        (
            estimate.expect("an estimate").value.into_scalar::<f32>(),
            off,
        )
    };
    let rem = config("rem").recipe.expectation.inner;
    let sem = config("sem").recipe.expectation.inner;
    let Inner::Adversary { radius, .. } = rem else {
        panic!("{rem:?}")
    };
    assert_eq!(sem, Inner::Uniform { radius });
    let (none, untouched) = value(Inner::None);
    let ((random, by_random), (adversary, by_adversary)) = (value(sem), value(rem));
    assert!(
        adversary > random && adversary > none,
        "{none} {random} {adversary}"
    );
    assert_eq!(untouched, 0.0);
    let bound = (radius * EPSILON) as f32;
    for off in [by_random, by_adversary] {
        assert!(off <= bound + 1e-6 && off > 0.9 * bound, "{off} of {bound}");
    }
}

/// PUE: the mean over networks whose weights are off by Gaussian noise.
#[test]
fn weights_are_noisy_by_the_deviation_and_never_twice_alike() {
    let config = config("pue");
    let targets = targets(&config);
    let batch = two_patches();
    let watched = Watched::new();
    let expectation = &config.recipe.expectation;
    let Some(WeightNoise {
        deviation, draws, ..
    }) = expectation.weight_noise
    else {
        panic!("{expectation:?}")
    };
    let mut source = Draws::new(Budget::new(EPSILON).expect("a budget"), 3);
    let image = batch.image.clone();
    let estimate = expectation.estimate(&watched, &targets, image, &batch.labels, &mut source);
    estimate.expect("an estimate");
    let own = targets[0].weights().expect("readable");
    let seen = watched.weights.into_inner();
    assert_eq!(seen.len(), draws);
    let off = |other: &TensorMap| -> Vec<f64> {
        let values = own.iter().zip(other.values());
        let values = values.flat_map(|((_, own), other)| {
            own.iter::<f64>()
                .zip(other.iter::<f64>())
                .collect::<Vec<_>>()
        });
        values.map(|(own, other)| other - own).collect()
    };
    for (index, weights) in seen.iter().enumerate() {
        let off = off(weights);
        let power = off.iter().map(|d| d * d).sum::<f64>() / off.len() as f64;
        // Thousands of weights: within a few percent.
        assert!(
            (power.sqrt() / deviation - 1.0).abs() < 0.05,
            "{}",
            power.sqrt()
        );
        assert!(seen[..index].iter().all(|other| other != weights));
    }
}

/// SEP: `mean_c mean_f (p_c - centre_{c + C / 2})^2`, computed on the host.
#[test]
fn features_move_to_the_centre_of_the_label_half_way_round() {
    let targets = targets(&config("sep"));
    let batch = two_patches();
    let mut criterion = Objective::FeatureDistance.criterion(CLASSES);
    criterion.survey(0, &*targets[0], &batch);
    let brighter = batch.image.clone() * 0.5 + 0.3;
    let mut source = Draws::new(Budget::new(EPSILON).expect("a budget"), 3);
    let found = Expectation::none().estimate(
        &*criterion,
        &targets,
        brighter.clone(),
        &batch.labels,
        &mut source,
    );
    let found = f64::from(found.expect("an estimate").value.into_scalar::<f32>());

    let labels: Vec<i32> = batch.labels.clone().into_data().iter().collect();
    // Means of the logits, `[batch][class][feature]`, with the voxels that they are of.
    let pooled = |volume: &Tensor<5>| -> Vec<Vec<(Vec<f64>, f64)>> {
        let logits = targets[0].forward(volume.clone());
        let logits: Vec<f64> = logits.into_data().iter().collect();
        let voxels = labels.len() / 2;
        (0..2)
            .map(|sample| {
                let labels = &labels[sample * voxels..][..voxels];
                let of_class = |class| {
                    let own: Vec<usize> =
                        (0..voxels).filter(|&v| labels[v] == class as i32).collect();
                    let mean = |feature: usize| {
                        let first = (sample * CLASSES + feature) * voxels;
                        own.iter().map(|v| logits[first + v]).sum::<f64>() / own.len() as f64
                    };
                    ((0..CLASSES).map(mean).collect(), own.len() as f64)
                };
                (0..CLASSES).map(of_class).collect()
            })
            .collect()
    };
    let clean = pooled(&batch.image);
    let centre = |class: usize, feature: usize| {
        let of = |sample: usize| &clean[sample][class];
        let sum: f64 = (0..2).map(|s| of(s).0[feature] * of(s).1).sum();
        sum / (0..2).map(|s| of(s).1).sum::<f64>()
    };
    let mut expected = 0.0;
    for sample in pooled(&brighter) {
        for (class, (mean, _)) in sample.iter().enumerate() {
            let wrong = (class + CLASSES / 2) % CLASSES;
            let distance = mean.iter().enumerate();
            let distance: f64 = distance.map(|(f, p)| (p - centre(wrong, f)).powi(2)).sum();
            expected += distance / (CLASSES * 2 * CLASSES) as f64;
        }
    }
    assert!(
        (found - expected).abs() < 1e-4 * expected,
        "{found}, by hand {expected}"
    );
}

/// SALM3D: a share of the support moves, and after the choosing rounds always the same voxels.
#[test]
fn the_sparse_method_moves_its_share_and_no_other_voxel() {
    let chosen = |rounds: usize| -> Vec<Vec<bool>> {
        let mut config = config("salm3d");
        config.common = SurrogateConfig {
            rounds,
            ..config.common
        };
        let (_, store) = run(&config, &mut volumes());
        let voxels: usize = SHAPE.iter().product();
        let moved = |case| {
            let codes = store.read(case, Window::whole(SHAPE)).expect("in memory");
            // A voxel is chosen in all channels.
            let either = |voxel| codes[voxel] != 0 || codes[voxels + voxel] != 0;
            (0..voxels).map(either).collect()
        };
        (0..CASES).map(moved).collect()
    };
    let sparsity = config("salm3d").recipe.sparsity.expect("it is sparse");
    let [first, second, third] =
        [sparsity.rounds, sparsity.rounds + 1, sparsity.rounds + 2].map(chosen);
    assert!(first == second && second == third);
    for (case, moved) in first.iter().enumerate() {
        let support = volume(case).support;
        let supported = support.iter().filter(|&&share| share > 0.0).count();
        let count = moved.iter().filter(|&&moved| moved).count() as f64;
        let most = sparsity.share * supported as f64;
        assert!(count <= most && count > 0.5 * most, "{count} of {most}");
    }
}
