use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, ElementConversion};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use voxshield_kernels::DiceCe;
use voxshield_models::{ResidualUnet, ResidualUnetConfig, Segmenter};
use voxshield_perturb::{Batch, Patch, PatchSource, SourceError};

use crate::{Augmentation, EvalError, augment};

/// How an unauthorised user trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VictimConfig {
    /// The network.
    pub network: ResidualUnetConfig,
    /// Patch size `[depth, height, width]` in voxels.
    pub patch: [usize; 3],
    /// Patches a step.
    pub batch: usize,
    /// Optimiser steps.
    pub steps: usize,
    /// Adam's first step size; it falls to 0 as `(1 - step / steps)^0.9`.
    pub learning_rate: f64,
    /// What happens to a patch before it is used.
    pub augmentation: Augmentation,
    /// Seed of weights, order, patch positions and augmentation.
    pub seed: u64,
}

impl VictimConfig {
    /// A narrow residual U-Net on 32^3 patches, Adam at 1e-2: what trains on a CPU in a minute.
    pub fn narrow(channels: usize, classes: usize) -> Self {
        Self {
            network: ResidualUnetConfig::narrow(channels, classes),
            patch: [32; 3],
            batch: 4,
            steps: 240,
            learning_rate: 1e-2,
            augmentation: Augmentation::None,
            seed: 0,
        }
    }
}

/// Trains a victim on all cases of `source` with DiceCE and returns it on the inner device.
///
/// `source` delivers what the victim sees: its own preprocessing of the files under test.
/// `observer` is called with (steps done, steps in all, loss).
///
/// # Errors
/// [`EvalError::Model`] for a network that cannot be built, [`EvalError::Patches`] if a case cannot
/// be read, [`EvalError::Diverged`] if the loss is no longer finite.
pub fn train_victim(
    config: &VictimConfig,
    source: &mut dyn PatchSource,
    device: &Device,
    observer: &mut dyn FnMut(usize, usize, f32),
) -> Result<ResidualUnet, EvalError> {
    let mut model = config
        .network
        .init(config.seed, &device.clone().autodiff())?;
    let mut optimiser = AdamConfig::new().with_epsilon(1e-8).init();
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(1));
    let (channels, classes) = (config.network.in_channels, config.network.out_channels);
    let mut source = Augmented {
        inner: source,
        augmentation: config.augmentation,
    };
    let cases = source.cases();
    if cases == 0 {
        return Err(voxshield_perturb::PerturbError::NoCases.into());
    }
    let mut order: Vec<usize> = Vec::new();
    for step in 0..config.steps {
        let mut batch = Vec::with_capacity(config.batch);
        while batch.len() < config.batch {
            if order.is_empty() {
                order = (0..cases).collect();
                order.shuffle(&mut rng);
            }
            batch.extend(order.pop().map(|case| (case, rng.random::<u64>())));
        }
        let batch = Batch::read(&mut source, &batch, config.patch, channels, classes, device)?;
        let logits = model.forward(batch.image.autodiff());
        let loss = DiceCe::default().forward(logits, batch.labels.autodiff())?;
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let rate = config.learning_rate * (1.0 - step as f64 / config.steps as f64).powf(0.9);
        model = optimiser.step(rate, model, gradients);
        let value: f32 = loss.into_scalar::<f32>().elem();
        if !value.is_finite() {
            return Err(EvalError::Diverged { step, value });
        }
        observer(step + 1, config.steps, value);
    }
    Ok(model.valid())
}

struct Augmented<'a> {
    inner: &'a mut dyn PatchSource,
    augmentation: Augmentation,
}

impl PatchSource for Augmented<'_> {
    fn cases(&self) -> usize {
        self.inner.cases()
    }

    fn patch(&mut self, case: usize, shape: [usize; 3], seed: u64) -> Result<Patch, SourceError> {
        let mut patch = self.inner.patch(case, shape, seed)?;
        if self.augmentation == Augmentation::NnUnet {
            // Another stream than the one that placed the patch.
            augment(&mut patch, shape, seed ^ 0x5DEE_CE66_D1CE_4E5B);
        }
        Ok(patch)
    }
}
