use burn::grad_clipping::GradientClippingConfig;
use burn::optim::{ModuleOptimizer, SgdConfig, decay::WeightDecayConfig, momentum::MomentumConfig};
use serde::{Deserialize, Serialize};
use voxshield_models::{NetworkSpec, Precision, Width};
use voxshield_perturb::Adam;

use crate::{Augmentation, Preprocessing};

/// The step rule of a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimiser {
    /// Adam without weight decay.
    #[default]
    Adam,
    /// nnU-Net's: stochastic gradient descent with Nesterov momentum 0.99, weight decay 3e-5, and
    /// each parameter's gradient cut at the norm 12 (nnU-Net cuts the norm of all together).
    Sgd,
}

impl Optimiser {
    pub(super) fn init(self) -> ModuleOptimizer {
        match self {
            Self::Adam => ModuleOptimizer::from(Adam {
                beta_2: 0.999,
                decay: 0.0,
            }),
            Self::Sgd => {
                let momentum = MomentumConfig::new()
                    .with_momentum(0.99)
                    .with_dampening(0.0)
                    .with_nesterov(true);
                SgdConfig::new()
                    .with_momentum(Some(momentum))
                    .with_weight_decay(Some(WeightDecayConfig::new(3e-5)))
                    .with_gradient_clipping(Some(GradientClippingConfig::Norm(12.0)))
                    .init()
            }
        }
    }
}

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
    /// The step rule.
    #[serde(default)]
    pub optimiser: Optimiser,
    /// The first step size; it falls to 0 as `(1 - step / steps)^0.9`.
    pub learning_rate: f64,
    /// What happens to a patch before it is used.
    pub augmentation: Augmentation,
    /// How the images that it is given were brought to their intensities, so that the augmentation knows their unit.
    #[serde(default)]
    pub preprocessing: Preprocessing,
    /// Seed of weights, order, patch positions and augmentation. The weights come from the stream of this number and the rest from
    /// that of the next one: so victims of neighbouring seeds share a number, but not for the same purpose.
    pub seed: u64,
    /// The type of the network's activations.
    #[serde(default)]
    pub precision: Precision,
    /// Whether activations that are cheap to compute again are not kept for the backward pass.
    #[serde(default)]
    pub checkpointing: bool,
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
            optimiser: Optimiser::Adam,
            learning_rate: 1e-2,
            augmentation: Augmentation::None,
            preprocessing: Preprocessing::Plain,
            seed: 0,
            precision: Precision::F32,
            checkpointing: false,
        }
    }

    /// What the network is built for; `channels` and `classes` come from the data.
    pub(crate) fn spec(&self, [channels, classes]: [usize; 2]) -> NetworkSpec {
        NetworkSpec {
            in_channels: channels,
            classes,
            patch: self.patch,
            spacing: self.spacing,
            width: self.width,
        }
    }

    /// The step size of a step, from 0.
    pub(crate) fn rate(&self, step: usize) -> f64 {
        self.learning_rate * (1.0 - step as f64 / self.steps as f64).powf(0.9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_size_falls_to_zero_by_the_power_of_0_9() {
        let config = VictimConfig {
            steps: 200,
            learning_rate: 0.01,
            ..VictimConfig::narrow()
        };
        assert_eq!(config.rate(0), 0.01);
        assert!((config.rate(100) - 0.01 * 0.5f64.powf(0.9)).abs() < 1e-15);
        assert!((config.rate(199) - 0.01 * 0.005f64.powf(0.9)).abs() < 1e-15);
    }
}
