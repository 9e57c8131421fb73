use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, ElementConversion};
use rand::{RngExt, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use voxshield_kernels::DiceCe;
use voxshield_models::{Architecture, Network, NetworkSpec, Width};
use voxshield_perturb::{Adam, Batch, Patch, PatchSource, SourceError};

use crate::{Augmentation, EvalError, augment};

/// How an unauthorised user trains.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VictimConfig {
    /// The network's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES).
    pub network: String,
    /// How wide it is.
    pub width: Width,
    /// Voxel spacing `[depth, height, width]` in millimetres, for networks that adapt to it.
    pub spacing: [f64; 3],
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
    pub fn narrow() -> Self {
        Self {
            network: "residual-unet".into(),
            width: Width::Narrow,
            spacing: [1.0; 3],
            patch: [32; 3],
            batch: 4,
            steps: 240,
            learning_rate: 1e-2,
            augmentation: Augmentation::None,
            seed: 0,
        }
    }
}

/// Trains a victim on all cases of `source` and returns it on the inner device.
///
/// The loss is the network's own: DiceCE, with deep supervision or residual heads where its authors
/// have them. `channels` and `classes` (background included) are those of `source`, which delivers
/// what the victim sees: its own preprocessing of the files under test. `observer` is called with
/// (steps done, steps in all, loss).
///
/// # Errors
/// [`EvalError::Model`] for a network that cannot be built or refuses the patch size,
/// [`EvalError::Patches`] if a case cannot be read, [`EvalError::Diverged`] if the loss is no longer
/// finite.
pub fn train_victim(
    config: &VictimConfig,
    source: &mut dyn PatchSource,
    [channels, classes]: [usize; 2],
    device: &Device,
    observer: &mut dyn FnMut(usize, usize, f32),
) -> Result<Box<dyn Network>, EvalError> {
    let spec = NetworkSpec {
        in_channels: channels,
        classes,
        patch: config.patch,
        spacing: config.spacing,
        width: config.width,
    };
    let tracked = device.clone().autodiff();
    let mut model = Architecture::find(&config.network)?.init(&spec, config.seed, &tracked)?;
    let [depth, height, width] = config.patch;
    model.check_input(&[config.batch, channels, depth, height, width])?;
    let mut optimiser = ModuleOptimizer::from(Adam {
        beta_2: 0.999,
        decay: 0.0,
    });
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed.wrapping_add(1));
    let criterion = DiceCe::default();
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
        let (image, labels) = (batch.image.autodiff(), batch.labels.autodiff());
        let loss = model.training_loss(image, labels, &criterion)?;
        let rate = config.learning_rate * (1.0 - step as f64 / config.steps as f64).powf(0.9);
        model = model.stepped(&mut optimiser, rate, loss.backward());
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
