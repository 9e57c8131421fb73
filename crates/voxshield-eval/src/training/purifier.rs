use burn::optim::AdamConfig;
use burn::tensor::{Device, ElementConversion};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use voxshield_models::{Architecture, Network, NetworkSpec, Segmenter, SlidingWindow, Width};
use voxshield_perturb::{Batch, PatchSource, PerturbError};

use crate::EvalError;

/// The paired purifier: a network that predicts the perturbation of a volume, trained on pairs that the
/// attacker made from her own data with the public tool (the lesson of S. Foerster et al., "LightShed",
/// USENIX Security 2025).
///
/// A residual U-Net gives `delta / epsilon` from the protected volume, by the mean squared error; what it
/// predicts, limited to epsilon, is subtracted from the files under attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Purifier {
    /// The bound on `|delta|` in normalised units, as the manifest says it.
    pub epsilon: f64,
    /// How wide the network is.
    pub width: Width,
    /// Patch size `[depth, height, width]` in voxels.
    pub patch: [usize; 3],
    /// Patches a step.
    pub batch: usize,
    /// Adam steps, at a rate that falls from 1e-2 to 0.
    pub steps: usize,
    /// Seed of weights and patches.
    pub seed: u64,
}

impl Purifier {
    fn spec(&self, channels: usize) -> NetworkSpec {
        NetworkSpec {
            patch: self.patch,
            width: self.width,
            ..NetworkSpec::new(channels, channels)
        }
    }

    /// A network without training, for weights that are at hand.
    ///
    /// # Errors
    /// [`EvalError::Model`] if there is no such network.
    pub fn init(&self, channels: usize, device: &Device) -> Result<Box<dyn Network>, EvalError> {
        let architecture = Architecture::find("residual-unet")?;
        Ok(architecture.init(&self.spec(channels), self.seed, device)?)
    }

    /// Trains the network. Patches of `source` have `2 channels` channels: the protected image, normalised to
    /// 0..1, and delta.
    ///
    /// # Errors
    /// [`EvalError::Patches`] if a case cannot be read, [`EvalError::Diverged`] if the loss is no longer
    /// finite, [`EvalError::Model`] for a patch size that does not fit.
    pub fn train(
        &self,
        source: &mut dyn PatchSource,
        channels: usize,
        device: &Device,
    ) -> Result<Box<dyn Network>, EvalError> {
        let mut network = self.init(channels, &device.clone().autodiff())?;
        let [depth, height, width] = self.patch;
        network.check_input(&[self.batch, channels, depth, height, width])?;
        let mut optimiser = AdamConfig::new().with_epsilon(1e-8).init();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_add(1));
        let cases = source.cases();
        if cases == 0 {
            return Err(PerturbError::NoCases.into());
        }
        for step in 0..self.steps {
            let places: Vec<(usize, u64)> = (0..self.batch)
                .map(|_| (rng.random_range(0..cases), rng.random()))
                .collect();
            let any_label = usize::from(u16::MAX) + 1;
            let read = Batch::read(source, &places, self.patch, 2 * channels, any_label, device)?;
            let protected = read.image.clone().narrow(1, 0, channels).autodiff();
            let delta = read.image.narrow(1, channels, channels).autodiff();
            let error = network.forward(protected) - delta / self.epsilon;
            let loss = (error.clone() * error).mean();
            let gradients = loss.backward();
            let value: f32 = loss.into_scalar::<f32>().elem();
            if !value.is_finite() {
                return Err(EvalError::Diverged { step, value });
            }
            let rate = 1e-2 * (1.0 - step as f64 / self.steps as f64).powf(0.9);
            network = network.stepped(&mut optimiser, rate, gradients);
        }
        Ok(network.valid())
    }

    /// Subtracts what the network takes for the perturbation from a normalised image
    /// `[channel, depth, height, width]`; `shape` is `[depth, height, width]`.
    ///
    /// # Errors
    /// [`EvalError::Model`] if the image does not fit its shape or the network.
    pub fn apply(
        &self,
        network: &dyn Segmenter,
        image: &mut [f32],
        shape: [usize; 3],
        device: &Device,
    ) -> Result<(), EvalError> {
        let window = SlidingWindow {
            batch: 4,
            ..SlidingWindow::new(self.patch)
        };
        let predicted = window.run(network, image, shape, device)?;
        let epsilon = self.epsilon as f32;
        for (value, delta) in image.iter_mut().zip(predicted) {
            *value -= epsilon * delta.clamp(-1.0, 1.0);
        }
        Ok(())
    }
}
