use std::path::PathBuf;

use clap::{Args, ValueEnum};
use voxshield::{
    perturb::RandomNoise,
    pipeline::{DeviceChoice, MemoryLimit, Victim, defence_names},
};

use super::{
    ComputeArgs, NetworkWidth,
    parse::{named, noise, patch, spacing},
};

#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// The protected dataset: victims train on its files.
    pub(crate) protected: PathBuf,
    /// Its clean original: gives the controls, clean and random noise of the same budget and support.
    #[arg(long)]
    pub(crate) clean: Option<PathBuf>,
    /// Clean labelled cases that are in no training set.
    #[arg(long)]
    pub(crate) test: PathBuf,
    /// Clean labelled data of the attacker's own, for the defence `purifier`. A case that is in another dataset is refused.
    #[arg(long)]
    pub(crate) attacker: Option<PathBuf>,
    /// More training sets to compare with, e.g. paper=DIR.
    #[arg(long = "compare", value_name = "NAME=DIR", value_parser = named)]
    pub(crate) compare: Vec<(String, PathBuf)>,
    /// Victims: networks of `voxshield models`, each with @plain, @paper or @nnunet for its
    /// preprocessing; unet, conresnet and nnunet are short names.
    #[arg(
        long,
        alias = "network",
        value_delimiter = ',',
        default_value = "residual-unet"
    )]
    pub(crate) victims: Vec<Victim>,
    #[arg(
        long,
        value_delimiter = ',',
        help = format!(
            "What the victims' owners do against the protection, beside nothing; a strength may follow a colon, as in gaussian-blur:0.5: {}",
            defence_names().join(", ")
        )
    )]
    pub(crate) defences: Vec<String>,
    /// The controls go through the defences as well, adversarial training in the radius of the dataset under test.
    #[arg(long)]
    pub(crate) defend_controls: bool,
    /// Victims of each kind, each with its own seed. Fewer than three give no verdict.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// The first of these seeds.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Whether victims augment.
    #[arg(long, value_enum, default_value_t = Augment::None)]
    pub(crate) augment: Augment,
    /// Optimiser steps of a victim. With half of the default, seeds differ by more than most protections do.
    #[arg(long, default_value_t = 480)]
    pub(crate) steps: usize,
    /// Steps between two tests on the clean cases; a sixth of the steps by default.
    #[arg(long)]
    pub(crate) test_every: Option<usize>,
    /// How wide the networks are.
    #[arg(long, value_enum, default_value_t = NetworkWidth::Narrow)]
    pub(crate) width: NetworkWidth,
    /// Patch size D,H,W (or one number for a cube) of a victim.
    #[arg(long, default_value = "32", value_parser = patch)]
    pub(crate) patch: [usize; 3],
    /// Patches a step.
    #[arg(long, default_value_t = 4)]
    pub(crate) batch: usize,
    /// The step rule; both fall as (1 - step / steps)^0.9.
    #[arg(long, value_enum, default_value_t = Optimiser::Adam)]
    pub(crate) optimiser: Optimiser,
    /// The first step size.
    #[arg(long, default_value_t = 1e-2)]
    pub(crate) learning_rate: f64,
    /// The grid D,H,W of the preprocessing `paper`, which is also its patch.
    #[arg(long, default_value = "160", value_parser = patch)]
    pub(crate) grid: [usize; 3],
    /// The spacing D,H,W in mm of the preprocessing `nnunet`; the training set's median by default.
    #[arg(long, value_parser = spacing)]
    pub(crate) target_spacing: Option<[f64; 3]>,
    /// Distribution of the random control; by default noise that is -epsilon or epsilon
    /// everywhere, the strongest there is.
    #[arg(long, default_value = "rademacher", value_parser = noise)]
    pub(crate) noise: RandomNoise,
    /// Where finished victims are kept, so that none is trained twice; PROTECTED-evaluation in the current
    /// folder by default.
    #[arg(long)]
    pub(crate) work: Option<PathBuf>,
    /// Trains the victims again that failed in an earlier run.
    #[arg(long)]
    pub(crate) retry_failed: bool,
    /// The most memory that the work on one case may take, such as 12G; three quarters of the machine's (or the control group's) by
    /// default. A dataset with a case that needs more is refused.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<MemoryLimit>,
    /// cpu, vulkan, wgpu, metal, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimiser {
    /// Adam.
    Adam,
    /// Stochastic gradient descent with Nesterov momentum 0.99, as nnU-Net trains.
    Sgd,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Augment {
    None,
    NnUnet,
    Both,
}
