use std::{path::PathBuf, str::FromStr};

use crate::{
    eval::{Augmentation, Optimiser, Preprocessing, VictimConfig},
    models::{Architecture, Width},
    perturb::RandomNoise,
    pipeline::{DeviceChoice, MemoryLimit, ParseError},
};

/// The folders of an evaluation. Victims only ever see files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluatePaths {
    /// The protected dataset, with its manifest.
    pub protected: PathBuf,
    /// Its clean original: the clean control, and what the random control is made from.
    pub clean: Option<PathBuf>,
    /// Clean labelled cases that are in no training set.
    pub test: PathBuf,
    /// Clean data of the attacker's own, for the paired purifier; apart from the training and test cases.
    pub attacker: Option<PathBuf>,
    /// More training sets by name.
    pub compare: Vec<(String, PathBuf)>,
    /// Where finished cells and the random control are kept.
    pub work: PathBuf,
}

impl EvaluatePaths {
    /// Victims of the protected dataset, tested on these cases, without controls; what is finished is kept in the folder of the
    /// protected dataset's name with `-evaluation`, beside it.
    pub fn new(protected: impl Into<PathBuf>, test: impl Into<PathBuf>) -> Self {
        let protected = protected.into();
        let absolute = std::path::absolute(&protected).unwrap_or_else(|_| protected.clone());
        let mut name = absolute.file_name().unwrap_or_default().to_os_string();
        name.push("-evaluation");
        Self {
            work: absolute.with_file_name(name),
            protected,
            clean: None,
            test: test.into(),
            attacker: None,
            compare: Vec::new(),
        }
    }
}

/// A victim's network and preprocessing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// The network's name in [`ARCHITECTURES`](crate::models::ARCHITECTURES).
    pub network: String,
    /// How it preprocesses.
    pub preprocessing: Preprocessing,
}

impl FromStr for Victim {
    type Err = ParseError;

    /// `NETWORK` or `NETWORK@PREPROCESSING`. Short names: `unet` (residual-unet), `conresnet`
    /// (con-res-net) and `nnunet` (nnunet-plain with nnU-Net's preprocessing).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, preprocessing) = match text.split_once('@') {
            Some((name, preprocessing)) => (name, Some(preprocessing)),
            None => (text, None),
        };
        let (name, usual) = match name {
            "unet" => ("residual-unet", Preprocessing::Plain),
            "conresnet" => ("con-res-net", Preprocessing::Plain),
            "nnunet" => ("nnunet-plain", Preprocessing::NnUnet),
            other => (other, Preprocessing::Plain),
        };
        let network = Architecture::find(name);
        let network = network.map_err(|error| ParseError::new(error.to_string()))?;
        let preprocessing = match preprocessing {
            None => usual,
            Some(name) => Preprocessing::ALL
                .into_iter()
                .find(|known| known.name() == name)
                .ok_or_else(|| {
                    ParseError::new("expected NETWORK@plain, NETWORK@paper or NETWORK@nnunet")
                })?,
        };
        Ok(Self {
            network: network.name.to_owned(),
            preprocessing,
        })
    }
}

/// What an evaluation does.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluateOptions {
    /// The victims.
    pub victims: Vec<Victim>,
    /// How each of them augments.
    pub augmentations: Vec<Augmentation>,
    /// Defences: `name`, `name:strength`, or the groups `cheap` and `all`; the victim that does nothing is always there.
    pub defences: Vec<String>,
    /// Whether the clean and random controls go through the defences too. It shows what a defence costs
    /// by itself.
    pub defend_controls: bool,
    /// Seeds: 0 up to this, plus the seed of `training`.
    pub seeds: u64,
    /// Width, patch, batch, steps, optimiser and first seed of every victim. Network,
    /// augmentation and spacing are overridden.
    pub training: VictimConfig,
    /// Steps between two points of the curve.
    pub test_every: usize,
    /// Spacing `[depth, height, width]` in mm that `nnunet` resamples to; the training set's median if
    /// `None`.
    pub target_spacing: Option<[f64; 3]>,
    /// The grid `[depth, height, width]` of the preprocessing `paper`, which is also its patch.
    pub grid: [usize; 3],
    /// Distribution of the random control.
    pub noise: RandomNoise,
    /// Whether to ask how well the noise gives the label away.
    pub detector: bool,
    /// Whether cells that failed in an earlier run are computed again.
    pub retry_failed: bool,
    /// The most memory that the work on one case may take; [`MemoryLimit::of_machine`] if `None`. A dataset with a case that needs more is
    /// refused.
    pub max_memory: Option<MemoryLimit>,
    /// What to compute on.
    pub device: DeviceChoice,
}

impl Default for EvaluateOptions {
    /// One narrow residual U-Net, no augmentation, no defence, one seed: minutes on a CPU.
    fn default() -> Self {
        Self {
            victims: vec![Victim {
                network: "residual-unet".into(),
                preprocessing: Preprocessing::Plain,
            }],
            augmentations: vec![Augmentation::None],
            defences: Vec::new(),
            defend_controls: false,
            seeds: 1,
            training: VictimConfig::narrow(),
            test_every: 60,
            target_spacing: None,
            grid: [160; 3],
            // At epsilon everywhere, as learned noise is: the strongest noise of the budget.
            noise: RandomNoise::Rademacher,
            detector: true,
            retry_failed: false,
            max_memory: None,
            device: DeviceChoice::Cpu,
        }
    }
}

impl EvaluateOptions {
    /// Optimiser and step size in words.
    pub(super) fn optimiser(&self) -> String {
        let rate = self.training.learning_rate;
        match self.training.optimiser {
            Optimiser::Adam => format!("Adam, {rate}, falling as (1 - step / steps)^0.9"),
            Optimiser::Sgd => {
                format!(
                    "SGD with Nesterov momentum 0.99, {rate}, falling as (1 - step / steps)^0.9"
                )
            }
        }
    }

    /// The width of every victim.
    pub(super) fn width(&self) -> Width {
        self.training.width
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Never in it: it is published.
    #[test]
    fn victims_are_kept_beside_the_protected_dataset() {
        for protected in ["/data/out", "/data/out/"] {
            let paths = EvaluatePaths::new(protected, "test");
            assert_eq!(paths.work, PathBuf::from("/data/out-evaluation"));
            assert_eq!((paths.clean, paths.compare.len()), (None, 0));
        }
    }

    #[test]
    fn victims_are_named_shortly_or_fully() {
        let parsed = |text: &str| text.parse::<Victim>().map(|v| (v.network, v.preprocessing));
        let expect = |network: &str, preprocessing| Ok((network.to_owned(), preprocessing));
        assert_eq!(
            parsed("unet"),
            expect("residual-unet", Preprocessing::Plain)
        );
        assert_eq!(
            parsed("nnunet"),
            expect("nnunet-plain", Preprocessing::NnUnet)
        );
        assert_eq!(
            parsed("unet@paper"),
            expect("residual-unet", Preprocessing::Paper)
        );
        assert_eq!(
            parsed("v-net@nnunet"),
            expect("v-net", Preprocessing::NnUnet)
        );
        assert!(
            parsed("unet@none")
                .unwrap_err()
                .to_string()
                .contains("@plain")
        );
        let error = parsed("net").unwrap_err().to_string();
        assert!(error.contains("residual-unet"), "{error}");
    }
}
