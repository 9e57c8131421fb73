use burn::tensor::{Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use voxshield_models::{Network, input_leaf};

use super::{Criterion, Estimate, Seen};
use crate::{Batch, Budget, PerturbError, SurrogateLearner, Transforms, View};

/// Over what a gradient is averaged, so that a perturbation survives it.
///
/// `g = mean_{i} d L(F_{theta + n_i}(t_i(u) + rho_i), t_i(y)) / d u`: views `t_i`, inner noise `rho_i`, noise `n_i` on the weights, and
/// all target networks. The surrogate is trained under the same draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// Random changes `t_i` of the volume and its labels.
    pub transforms: Transforms,
    /// Draws of these changes and of the inner noise for each gradient, at least 1; a surrogate step has one.
    pub views: usize,
    /// What is added to each view.
    pub inner: Inner,
    /// What is added to the weights.
    pub weight_noise: Option<WeightNoise>,
}

/// What is added to a volume before a network sees it; radii and steps are shares of epsilon.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Inner {
    /// Nothing.
    None,
    /// Uniform noise in `-radius..radius`.
    Uniform {
        /// Its bound.
        radius: f64,
    },
    /// Noise that maximises the criterion: steps on the sign of the gradient, from uniform noise.
    Adversary {
        /// Its bound.
        radius: f64,
        /// Steps.
        steps: usize,
        /// How far a voxel moves in one of them.
        step_size: f64,
    },
}

/// Gaussian noise on all weights, with a mean over draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightNoise {
    /// Standard deviation, in units of the weights.
    pub deviation: f64,
    /// Draws of a surrogate step.
    pub surrogate_draws: usize,
    /// Draws of a step on the perturbation.
    pub draws: usize,
}

impl Expectation {
    /// Over nothing: the gradient at the volume and the weights as they are.
    pub fn none() -> Self {
        Self {
            transforms: Transforms::none(),
            views: 1,
            inner: Inner::None,
            weight_noise: None,
        }
    }

    pub(super) fn validate(&self) -> Result<(), PerturbError> {
        let refuse = |what, expected: &str, found: String| {
            Err(PerturbError::Config {
                what,
                expected: expected.into(),
                found,
            })
        };
        if self.views == 0 {
            return refuse("views", "at least 1", "0".into());
        }
        if let Inner::Uniform { radius } | Inner::Adversary { radius, .. } = self.inner
            && !(radius > 0.0 && radius.is_finite())
        {
            return refuse(
                "radius of the inner noise",
                "a positive share of epsilon",
                radius.to_string(),
            );
        }
        if let Inner::Adversary {
            steps, step_size, ..
        } = self.inner
            && (steps == 0 || !(step_size > 0.0 && step_size.is_finite()))
        {
            let found = format!("{steps} steps of {step_size}");
            return refuse(
                "inner adversary",
                "at least one step of a positive share of epsilon",
                found,
            );
        }
        if let Some(noise) = self.weight_noise
            && (noise.draws == 0
                || noise.surrogate_draws == 0
                || !(noise.deviation > 0.0 && noise.deviation.is_finite()))
        {
            return refuse(
                "noise on the weights",
                "a positive deviation and at least one draw",
                format!("{noise:?}"),
            );
        }
        Ok(())
    }

    /// Refuses a surrogate of which a step with noise on the weights would lose something: copies are trained, and only gradients
    /// come back from them.
    pub(super) fn check_surrogate(
        &self,
        name: &str,
        network: &dyn Network,
    ) -> Result<(), PerturbError> {
        let statistics = || network.describe().iter().any(|other| other.running);
        let has_more = || network.draws_in_training() || statistics();
        match self.weight_noise.is_some() && has_more() {
            true => Err(PerturbError::Config {
                what: "surrogate of a method with noise on the weights",
                expected: "a network whose training changes nothing but its weights (no batch \
                           normalisation, no dropout), such as residual-unet"
                    .into(),
                found: name.into(),
            }),
            false => Ok(()),
        }
    }

    /// Value and gradient of a criterion at a perturbed volume, `[batch, channel, depth, height, width]`, 0..1; `targets` are frozen.
    ///
    /// # Errors
    /// What the criterion reports; [`PerturbError::Config`] without a target.
    pub fn estimate(
        &self,
        criterion: &dyn Criterion,
        targets: &[Box<dyn Network>],
        protected: Tensor<5>,
        labels: &Tensor<4, Int>,
        draws: &mut Draws,
    ) -> Result<Estimate, PerturbError> {
        let each = self.views * self.weight_noise.map_or(1, |noise| noise.draws);
        let share = 1.0 / (each * targets.len()) as f64;
        let mut sum: Option<Estimate> = None;
        for (member, target) in targets.iter().enumerate() {
            for _ in 0..each {
                let noisy = self
                    .weight_noise
                    .map(|noise| target.with_weight_noise(noise.deviation, draws.rng.random()));
                let network = noisy.as_deref().unwrap_or(&**target);
                let view = self.view(&protected, draws);
                let leaf = input_leaf(network, protected.clone());
                let mut seen = Seen {
                    network,
                    member,
                    volume: leaf.clone(),
                    labels: labels.clone(),
                };
                seen.labels = view.labels(seen.labels);
                seen.volume = view.image(seen.volume);
                if let Some(rho) = self.inner.noise(criterion, &seen, draws)? {
                    seen.volume = (seen.volume + rho).clamp(0.0, 1.0);
                }
                let value = criterion.value(&seen)?;
                let gradient = leaf.grad(&value.backward());
                // A criterion that does not depend on the volume has no gradient.
                let gradient = gradient.unwrap_or_else(|| protected.zeros_like()) * share;
                let value = value.inner() * share;
                sum = Some(match sum {
                    None => Estimate { value, gradient },
                    Some(sum) => Estimate {
                        value: sum.value + value,
                        gradient: sum.gradient + gradient,
                    },
                });
            }
        }
        sum.ok_or_else(|| PerturbError::Config {
            what: "target networks",
            expected: "at least one".into(),
            found: "none".into(),
        })
    }

    /// One step of the surrogate on a perturbed batch, `delta` within the support; its loss on the device.
    pub(super) fn surrogate_step(
        &self,
        surrogate: &mut SurrogateLearner,
        criterion: &dyn Criterion,
        batch: &Batch,
        delta: Tensor<5>,
        draws: &mut Draws,
    ) -> Result<Tensor<1>, PerturbError> {
        let (mut batch, mut delta) = (batch.clone(), delta);
        if !self.transforms.is_none() || self.inner != Inner::None {
            let protected = draws.budget.protect(batch.image, delta);
            delta = protected.zeros_like();
            batch.image = protected;
            let view = self.view(&batch.image, draws);
            batch.image = view.image(batch.image);
            batch.labels = view.labels(batch.labels);
            let frozen = surrogate.network().frozen();
            let seen = Seen {
                network: &*frozen,
                member: 0,
                volume: batch.image.clone(),
                labels: batch.labels.clone(),
            };
            if let Some(rho) = self.inner.noise(criterion, &seen, draws)? {
                delta = rho;
            }
        }
        match self.weight_noise {
            None => surrogate.step(&batch, delta, &View::identity()),
            Some(noise) => {
                let seeds = (0..noise.surrogate_draws).map(|_| draws.rng.random());
                surrogate.step_smoothed(&batch, &delta, noise.deviation, seeds)
            }
        }
    }

    fn view(&self, volume: &Tensor<5>, draws: &mut Draws) -> View {
        let [batch, ..] = volume.dims();
        self.transforms.draw(batch, draws.rng.random(), 0)
    }
}

/// Where an [`Expectation`] draws from.
#[derive(Debug, Clone)]
pub struct Draws {
    /// What radii are shares of.
    budget: Budget,
    rng: ChaCha8Rng,
}

impl Draws {
    /// Draws that are a function of `seed` and of those before.
    pub fn new(budget: Budget, seed: u64) -> Self {
        Self {
            budget,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Words drawn so far.
    pub(super) fn drawn(&self) -> u64 {
        // No run draws 2^64 words.
        self.rng.get_word_pos() as u64
    }

    /// Goes to where so many words are drawn.
    pub(super) fn skip_to(&mut self, drawn: u64) {
        self.rng.set_word_pos(drawn.into());
    }

    /// Uniform in `-radius..=radius`, shaped as `like` and without gradients.
    fn uniform(&mut self, like: &Tensor<5>, radius: f64) -> Tensor<5> {
        let (shape, radius) = (like.dims(), radius as f32);
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| self.rng.random_range(-radius..=radius))
            .collect();
        let device = like.device().without_autodiff();
        Tensor::from_data(TensorData::new(values, shape), &device)
    }
}

impl Inner {
    /// The noise for what a network is about to see; without gradients.
    fn noise(
        &self,
        criterion: &dyn Criterion,
        seen: &Seen<'_>,
        draws: &mut Draws,
    ) -> Result<Option<Tensor<5>>, PerturbError> {
        let epsilon = draws.budget.epsilon();
        let (radius, steps, step_size) = match *self {
            Self::None => return Ok(None),
            Self::Uniform { radius } => (radius, 0, 0.0),
            Self::Adversary {
                radius,
                steps,
                step_size,
            } => (radius, steps, step_size * epsilon),
        };
        let radius = radius * epsilon;
        let mut rho = draws.uniform(&seen.volume, radius);
        let volume = detached(seen.volume.clone());
        for _ in 0..steps {
            let leaf = input_leaf(seen.network, (volume.clone() + rho.clone()).clamp(0.0, 1.0));
            let value = criterion.value(&Seen {
                volume: leaf.clone(),
                labels: seen.labels.clone(),
                ..*seen
            })?;
            if let Some(gradient) = leaf.grad(&value.backward()) {
                rho = (rho + gradient.sign() * step_size).clamp(-radius, radius);
            }
        }
        Ok(Some(rho))
    }
}

/// The tensor on its inner device, if it is not there already.
fn detached(tensor: Tensor<5>) -> Tensor<5> {
    match tensor.device().is_autodiff() {
        true => tensor.inner(),
        false => tensor,
    }
}
