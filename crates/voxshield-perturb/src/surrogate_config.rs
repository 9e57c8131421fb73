use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use voxshield_models::{Architecture, ModelError, Network, NetworkSpec, Precision, Width};

use crate::{Budget, PerturbError, SurrogateLearner};

/// Victims of small seeds begin with other weights than surrogates of small seeds: a perturbation that was optimised against a victim's own first
/// weights would look stronger than it is.
const WEIGHTS: u64 = 0x5355_5252_4f47_4154;

/// The budget, the network that a perturbation is optimised against, and how that network is trained: what all methods with a
/// surrogate have in common. In JSON its settings stand among those of the method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurrogateConfig {
    /// The bound on `|delta|` in normalised units. VoxShield's paper: 4/255.
    pub epsilon: f64,
    /// The surrogate's name in [`ARCHITECTURES`](voxshield_models::ARCHITECTURES). Paper: `residual-unet`.
    pub surrogate: String,
    /// How wide it is, and the generator where there is one. Paper: full, that is 32-64-128-256-512 and 16-32-64-128 channels.
    pub networks: Width,
    /// Rounds of surrogate steps, followed by a pass over all cases that changes the perturbation. Paper: 100.
    pub rounds: usize,
    /// Surrogate steps a round. Paper: 10.
    pub surrogate_steps: usize,
    /// Patches a step. Paper: 8.
    pub batch: usize,
    /// Patch size `[depth, height, width]` in voxels of the native grid.
    pub patch: [usize; 3],
    /// Adam's step size for the surrogate. Paper: 5e-4.
    pub surrogate_rate: f64,
    /// Seed of weights, order, patch positions and every other draw.
    pub seed: u64,
    /// The type of the networks' activations. Paper: f32.
    #[serde(default)]
    pub precision: Precision,
    /// Whether activations that are cheap to compute again are not kept for the backward pass.
    #[serde(default)]
    pub checkpointing: bool,
}

impl SurrogateConfig {
    /// The setting of VoxShield's paper on 160^3 patches.
    pub fn paper() -> Self {
        Self {
            epsilon: 4.0 / 255.0,
            surrogate: "residual-unet".into(),
            networks: Width::Full,
            rounds: 100,
            surrogate_steps: 10,
            batch: 8,
            patch: [160; 3],
            surrogate_rate: 5e-4,
            seed: 0,
            precision: Precision::F32,
            checkpointing: false,
        }
    }

    /// A narrow network on 32^3 patches with the larger step size that it needs: for a CPU.
    pub fn compact() -> Self {
        Self {
            networks: Width::Narrow,
            rounds: 20,
            batch: 4,
            patch: [32; 3],
            surrogate_rate: 3e-3,
            ..Self::paper()
        }
    }

    /// The surrogate on `device` (without autodiff) with its optimiser, for images of `channels` and `classes`, background included.
    ///
    /// # Errors
    /// [`PerturbError::Config`] if a setting is out of range, [`PerturbError::Model`] if the network does not exist, cannot be built so
    /// or does not take the patch, or the device does not have the precision.
    pub fn learner(
        &self,
        channels: usize,
        classes: usize,
        device: &Device,
    ) -> Result<SurrogateLearner, PerturbError> {
        self.validate()?;
        self.precision.check(device)?;
        let spec = self.surrogate_spec(channels, classes);
        let network = Architecture::find(&self.surrogate)?;
        let network = network.init(&spec, self.seed ^ WEIGHTS, &self.training_device(device))?;
        self.learner_of(network, &self.surrogate)
    }

    /// A network of your own as the surrogate, in place of the named one, with its optimiser. It is created on
    /// [`training_device`](Self::training_device); channels and classes are its own.
    ///
    /// Every module with [`Segmenter`](voxshield_models::Segmenter) and [`NamedParameters`](voxshield_models::NamedParameters) is a
    /// [`Network`], see the example `own_network`.
    ///
    /// # Errors
    /// As [`learner`](Self::learner); [`PerturbError::Config`] too for a network on a device that is not the training device.
    pub fn learner_for(&self, network: Box<dyn Network>) -> Result<SurrogateLearner, PerturbError> {
        self.validate()?;
        let device = network.device();
        self.precision.check(&device.clone().without_autodiff())?;
        let wanted = self.training_device(&device.clone().without_autodiff());
        let strategy = device.gradient_checkpointing_strategy();
        if strategy != wanted.gradient_checkpointing_strategy() {
            return Err(PerturbError::Config {
                what: "device of the surrogate",
                expected: "that of SurrogateConfig::training_device, with autodiff and the checkpointing that is configured".into(),
                found: format!("{device:?}, checkpointing {strategy:?}"),
            });
        }
        self.learner_of(network, "the surrogate")
    }

    fn learner_of(
        &self,
        network: Box<dyn Network>,
        name: &str,
    ) -> Result<SurrogateLearner, PerturbError> {
        let network = self.precision.apply(network);
        let channels = network.in_channels();
        match network.check_input(&self.batch_shape(channels)) {
            Err(ModelError::InputSize { multiple, sizes }) => {
                return Err(PerturbError::Config {
                    what: "patch size",
                    expected: format!("multiples of {multiple:?} voxels for {name}"),
                    found: format!("{sizes:?}"),
                });
            }
            checked => checked?,
        }
        let budget = Budget::new(self.epsilon)?;
        Ok(SurrogateLearner::new(network, self.surrogate_rate, budget))
    }

    /// What the surrogate is built for: images of `channels` and `classes` (background included).
    pub fn surrogate_spec(&self, channels: usize, classes: usize) -> NetworkSpec {
        NetworkSpec {
            patch: self.patch,
            width: self.networks,
            ..NetworkSpec::new(channels, classes)
        }
    }

    /// `device` with autodiff, and gradient checkpointing if it is asked for.
    pub fn training_device(&self, device: &Device) -> Device {
        let tracked = device.clone().autodiff();
        match self.checkpointing {
            true => tracked.gradient_checkpointing(),
            false => tracked,
        }
    }

    /// The shape `[batch, channel, depth, height, width]` of a step's images.
    pub(crate) fn batch_shape(&self, channels: usize) -> [usize; 5] {
        let [depth, height, width] = self.patch;
        [self.batch, channels, depth, height, width]
    }

    /// Checks every setting but the network's name and the patch size, which the networks check themselves.
    ///
    /// # Errors
    /// [`PerturbError::Config`] naming the first setting that is out of range.
    pub fn validate(&self) -> Result<(), PerturbError> {
        Budget::new(self.epsilon)?;
        at_least_one("rounds", self.rounds)?;
        at_least_one("surrogate steps", self.surrogate_steps)?;
        at_least_one("batch size", self.batch)?;
        step_size("surrogate learning rate", self.surrogate_rate)
    }
}

impl Default for SurrogateConfig {
    fn default() -> Self {
        Self::compact()
    }
}

pub(crate) fn at_least_one(what: &'static str, count: usize) -> Result<(), PerturbError> {
    match count {
        0 => Err(PerturbError::Config {
            what,
            expected: "at least 1".into(),
            found: "0".into(),
        }),
        _ => Ok(()),
    }
}

/// A step size of Adam's, or a share.
pub(crate) fn step_size(what: &'static str, size: f64) -> Result<(), PerturbError> {
    match size > 0.0 && size <= 1.0 {
        true => Ok(()),
        false => Err(PerturbError::Config {
            what,
            expected: "a number above 0 and at most 1".into(),
            found: size.to_string(),
        }),
    }
}
