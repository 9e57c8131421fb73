use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use voxshield::{
    models::{Architecture, Precision, Width},
    perturb::{IscMode, METHODS, PerturbationMethod, RandomNoise, SoftRoi, Support},
    pipeline::{DeviceChoice, NormalisationChoice, Victim, defence_names},
};

/// Protect labelled 3D medical volumes before publication.
#[derive(Parser)]
#[command(name = "voxshield", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Form of the result on stdout.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// No progress on stderr (it is hidden anyway where stderr is not a terminal).
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Phantom dataset -> protect -> train victims -> table, on the CPU, in minutes.
    Demo(DemoArgs),
    /// What a file or a dataset is: layout, geometry, classes, epsilon in stored steps.
    Inspect {
        /// A NIfTI file or a dataset folder.
        path: PathBuf,
        /// The bound to judge by, in normalised units.
        #[arg(long, default_value = "4/255", value_parser = epsilon)]
        epsilon: f64,
    },
    /// One case, quick: a picture of what protection changes, and the time of the whole run.
    Preview(PreviewArgs),
    /// Protect a dataset: the main job.
    Protect(ProtectArgs),
    /// Check the written files against the clean dataset.
    Verify {
        /// The clean dataset.
        dataset: PathBuf,
        /// The protected folder.
        output: PathBuf,
    },
    /// Train victims from the written files and test them on clean cases.
    Evaluate(EvaluateArgs),
    /// The networks there are, with their parameters and floating-point operations.
    Models(ModelsArgs),
    /// The perturbation methods there are, and what they need.
    Methods,
    /// What can be computed on.
    Devices,
}

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// Folder for the phantom datasets; a new `voxshield-demo*` in the current folder by default.
    pub(crate) output: Option<PathBuf>,
    /// Seed of phantoms, networks and patches.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The bound on the perturbation, in normalised units.
    #[arg(long, default_value = "4/255", value_parser = epsilon)]
    pub(crate) epsilon: f64,
    /// cpu, vulkan, wgpu, metal, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
}

#[derive(Args, Clone, Copy)]
pub(crate) struct ComputeArgs {
    /// The type of the networks' activations: f32, or bf16 or f16, which halve their memory and are faster on
    /// GPUs with matrix units for it. Weights and losses are f32. An error where the device has no
    /// such type.
    #[arg(long, default_value = "f32")]
    pub(crate) precision: Precision,
    /// Compute activations again in the backward pass where that is cheap, instead of keeping them:
    /// less memory, a little more time, the same result.
    #[arg(long)]
    pub(crate) checkpointing: bool,
}

#[derive(Args)]
pub(crate) struct ProtectArgs {
    /// The clean dataset; it is never written to.
    pub(crate) dataset: PathBuf,
    /// The folder to create.
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,
}

#[derive(Args)]
pub(crate) struct PreviewArgs {
    /// The clean dataset; it is never written to.
    pub(crate) dataset: PathBuf,
    /// The case to show.
    #[arg(long, value_name = "ID")]
    pub(crate) case: String,
    /// The picture to write: clean, protected, and the amplified perturbation of one slice.
    #[arg(long, value_name = "FILE.png", default_value = "preview.png")]
    pub(crate) out: PathBuf,
    /// Seconds that the optimised method may train on this case, about.
    #[arg(long, value_name = "S", default_value_t = 20)]
    pub(crate) seconds: u64,
    #[command(flatten)]
    pub(crate) protection: ProtectionArgs,
}

/// How files are protected.
#[derive(Args)]
pub(crate) struct ProtectionArgs {
    /// The bound on the perturbation, in normalised units (0..1), as a number or a fraction.
    #[arg(long, default_value = "4/255", value_parser = epsilon)]
    pub(crate) epsilon: f64,
    /// Where voxels may change: roi, body, full or soft-roi[:KERNEL,ITERATIONS,SIGMA] (labelled voxels with a margin in which
    /// epsilon fades to 0; in voxels, 3,2,2 by default).
    #[arg(long, default_value = "roi", value_parser = support)]
    pub(crate) support: Support,
    /// Where the perturbation comes from; `voxshield methods` lists the names.
    #[arg(long, default_value = "voxshield", value_parser = method)]
    pub(crate) method: String,
    /// Distribution of `--method random`: uniform, gaussian, rademacher, salt-and-pepper[:SHARE]
    /// or sparse[:SHARE].
    #[arg(long, default_value = "uniform", value_parser = noise)]
    pub(crate) noise: RandomNoise,
    /// How intensities are brought to 0..1.
    #[arg(long, default_value = "auto", help = format!("How intensities are brought to 0..1: {}", NormalisationChoice::HELP))]
    pub(crate) normalise: NormalisationChoice,
    /// Sizes of networks, patches and steps; the flags below change single values.
    #[arg(long, value_enum, default_value_t = Preset::Compact)]
    pub(crate) preset: Preset,
    /// Network of the surrogate; `voxshield models` lists them.
    #[arg(long, value_parser = network)]
    pub(crate) surrogate: Option<String>,
    /// Weights that the surrogate starts from: safetensors, or a PyTorch checkpoint of MONAI or
    /// nnU-Net.
    #[arg(long, value_name = "FILE")]
    pub(crate) surrogate_weights: Option<PathBuf>,
    /// How wide surrogate and generator are; the preset says it otherwise.
    #[arg(long, value_enum)]
    pub(crate) width: Option<NetworkWidth>,
    /// Rounds of surrogate steps and noise passes.
    #[arg(long)]
    pub(crate) rounds: Option<usize>,
    /// Surrogate steps a round.
    #[arg(long)]
    pub(crate) surrogate_steps: Option<usize>,
    /// Patches a step.
    #[arg(long)]
    pub(crate) batch: Option<usize>,
    /// Patch size D,H,W (or one number for a cube) in voxels.
    #[arg(long, value_parser = patch)]
    pub(crate) patch: Option<[usize; 3]>,
    /// Weight of the inter-slice frequency divergence.
    #[arg(long)]
    pub(crate) isc_weight: Option<f64>,
    /// Form of that divergence: reference, normalised or phase.
    #[arg(long, value_parser = isc_mode)]
    pub(crate) isc_mode: Option<IscMode>,
    /// Weight of the semantic prediction divergence.
    #[arg(long)]
    pub(crate) spd_weight: Option<f64>,
    /// Adam's step size for the surrogate.
    #[arg(long)]
    pub(crate) surrogate_rate: Option<f64>,
    /// Adam's step size for the noise generator.
    #[arg(long)]
    pub(crate) noise_rate: Option<f64>,
    /// Seed of every random choice.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// cpu, vulkan, wgpu, metal, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Preset {
    /// Narrow networks on 32^3 patches: for a CPU.
    Compact,
    /// The paper's networks and step sizes on 160^3 patches: for a GPU.
    Paper,
}

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
    /// Clean labelled data of the attacker's own, for the defence `purifier`; apart from all others.
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
    /// The controls go through the defences as well.
    #[arg(long)]
    pub(crate) defend_controls: bool,
    /// Victims of each kind, each with its own seed.
    #[arg(long, default_value_t = 1)]
    pub(crate) seeds: u64,
    /// The first of these seeds.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Whether victims augment.
    #[arg(long, value_enum, default_value_t = Augment::None)]
    pub(crate) augment: Augment,
    /// Optimiser steps of a victim.
    #[arg(long, default_value_t = 240)]
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

#[derive(Args)]
pub(crate) struct ModelsArgs {
    /// Channels of the input.
    #[arg(long, default_value_t = 1)]
    pub(crate) channels: usize,
    /// Classes, background included.
    #[arg(long, default_value_t = 2)]
    pub(crate) classes: usize,
    /// Patch size D,H,W (or one number for a cube) in voxels.
    #[arg(long, default_value = "96", value_parser = patch)]
    pub(crate) patch: [usize; 3],
    /// Voxel spacing D,H,W (or one number) in millimetres, for networks that adapt to it.
    #[arg(long, default_value = "1", value_parser = spacing)]
    pub(crate) spacing: [f64; 3],
    /// How wide they are.
    #[arg(long, value_enum, default_value_t = NetworkWidth::Full)]
    pub(crate) width: NetworkWidth,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkWidth {
    /// A few channels: trains on a CPU in minutes.
    Narrow,
    /// As published.
    Full,
}

impl From<NetworkWidth> for Width {
    fn from(width: NetworkWidth) -> Self {
        match width {
            NetworkWidth::Narrow => Self::Narrow,
            NetworkWidth::Full => Self::Full,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Augment {
    None,
    NnUnet,
    Both,
}

/// A number or a fraction such as 4/255.
fn epsilon(text: &str) -> Result<f64, String> {
    let number = |s: &str| {
        s.trim()
            .parse::<f64>()
            .map_err(|_| format!("'{s}' is no number"))
    };
    let value = match text.split_once('/') {
        Some((above, below)) => number(above)? / number(below)?,
        None => number(text)?,
    };
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err("expected a number above 0 and at most 1, or a fraction such as 4/255".into())
    }
}

fn support(text: &str) -> Result<Support, String> {
    let hint = "expected roi, body, full or soft-roi[:KERNEL,ITERATIONS,SIGMA]";
    if let Some(settings) = text.strip_prefix("soft-roi:") {
        return soft_roi(settings).ok_or_else(|| hint.into());
    }
    Support::ALL
        .into_iter()
        .find(|s| s.name() == text)
        .ok_or_else(|| hint.into())
}

fn soft_roi(settings: &str) -> Option<Support> {
    let mut parts = settings.split(',').map(str::trim);
    let soft = SoftRoi {
        kernel: parts.next()?.parse().ok()?,
        iterations: parts.next()?.parse().ok()?,
        sigma: parts.next()?.parse().ok()?,
    };
    (parts.next().is_none() && soft.validate().is_ok()).then_some(Support::SoftRoi(soft))
}

fn isc_mode(text: &str) -> Result<IscMode, String> {
    match text {
        "reference" => Ok(IscMode::Reference),
        "normalised" => Ok(IscMode::Normalised),
        "phase" => Ok(IscMode::Phase),
        _ => Err("expected reference, normalised or phase".into()),
    }
}

fn noise(text: &str) -> Result<RandomNoise, String> {
    let (name, share) = match text.split_once(':') {
        Some((name, share)) => {
            let share = share
                .parse::<f64>()
                .map_err(|_| format!("'{share}' is no share"))?;
            (name, Some(share))
        }
        None => (text, None),
    };
    match (name, share) {
        ("uniform", None) => Ok(RandomNoise::Uniform),
        ("gaussian", None) => Ok(RandomNoise::Gaussian),
        ("rademacher", None) => Ok(RandomNoise::Rademacher),
        ("salt-and-pepper", share) => Ok(RandomNoise::SaltAndPepper {
            share: share.unwrap_or(0.1),
        }),
        ("sparse", share) => Ok(RandomNoise::Sparse {
            share: share.unwrap_or(0.1),
        }),
        _ => Err(
            "expected uniform, gaussian, rademacher, salt-and-pepper[:SHARE] or sparse[:SHARE]"
                .into(),
        ),
    }
}

fn patch(text: &str) -> Result<[usize; 3], String> {
    per_axis(text)
}

fn spacing(text: &str) -> Result<[f64; 3], String> {
    let spacing = per_axis::<f64>(text)?;
    match spacing.iter().all(|&mm| mm > 0.0 && mm.is_finite()) {
        true => Ok(spacing),
        false => Err("expected positive millimetres".into()),
    }
}

/// D,H,W or one value for all.
fn per_axis<T: std::str::FromStr + Copy>(text: &str) -> Result<[T; 3], String> {
    let hint = || "expected D,H,W or one number".to_owned();
    let values: Vec<T> = text
        .split(',')
        .map(|n| n.trim().parse().map_err(|_| hint()))
        .collect::<Result<_, _>>()?;
    match values[..] {
        [n] => Ok([n; 3]),
        [d, h, w] => Ok([d, h, w]),
        _ => Err(hint()),
    }
}

fn network(text: &str) -> Result<String, String> {
    let known = Architecture::find(text).map_err(|error| error.to_string())?;
    Ok(known.name.to_owned())
}

fn method(text: &str) -> Result<String, String> {
    match PerturbationMethod::find(text) {
        Some(method) => Ok(method.name.to_owned()),
        None => {
            let names: Vec<_> = METHODS.iter().map(|method| method.name).collect();
            Err(format!("expected one of {}", names.join(", ")))
        }
    }
}

fn named(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("expected NAME=DIR".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_parsed_or_refused() {
        assert_eq!(epsilon("4/255").unwrap(), 4.0 / 255.0);
        assert_eq!(epsilon("0.5").unwrap(), 0.5);
        for bad in ["0", "2", "-1/3", "x", "1/0", "0/0"] {
            assert!(epsilon(bad).is_err(), "{bad}");
        }
        assert_eq!(patch("16").unwrap(), [16; 3]);
        assert_eq!(patch("8,16,24").unwrap(), [8, 16, 24]);
        assert!(patch("8,16").is_err());
        assert_eq!(spacing("2.5,1,1").unwrap(), [2.5, 1.0, 1.0]);
        assert!(spacing("0").is_err() && spacing("1,nan,1").is_err());
        assert_eq!(method("checkerboard").unwrap(), "checkerboard");
        assert!(method("chequerboard").unwrap_err().contains("voxshield"));
        let error = network("u-net").unwrap_err();
        assert!(error.contains("residual-unet"), "{error}");
        assert_eq!(
            noise("sparse:0.3").unwrap(),
            RandomNoise::Sparse { share: 0.3 }
        );
        assert!(noise("uniform:0.3").is_err());
        assert_eq!(support("full").unwrap(), Support::Full);
        let soft = Support::SoftRoi(SoftRoi::REFERENCE);
        assert_eq!(support("soft-roi").unwrap(), soft);
        assert_eq!(support("soft-roi:3,2,2").unwrap(), soft);
        for bad in [
            "soft",
            "soft-roi:",
            "soft-roi:4,2,2",
            "soft-roi:3,2",
            "soft-roi:3,2,2,2",
            "soft-roi:3,2,-1",
        ] {
            assert!(support(bad).is_err(), "{bad}");
        }
    }
}
