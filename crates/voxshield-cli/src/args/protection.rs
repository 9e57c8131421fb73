use std::path::PathBuf;

use clap::{Args, ValueEnum};
use voxshield::{
    perturb::{IscMode, RandomNoise, Support, Transforms},
    pipeline::{DeviceChoice, LabelSource, LabelWeights, MemoryLimit, NormalisationChoice, Shard},
};

use super::{
    ComputeArgs, NetworkWidth,
    parse::{Seed, epsilon, isc_mode, method, network, noise, patch, seed, support},
};

#[derive(Args)]
pub(crate) struct ProtectArgs {
    /// The clean dataset; it is never written to.
    pub(crate) dataset: PathBuf,
    /// The folder to create.
    pub(crate) output: PathBuf,
    /// Go on where the same command was interrupted; the result is that of an undisturbed run.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Write only the cases of one of N shards, for as many processes on one output folder. For methods without training. When all
    /// are done, the same command with --resume in place of --shard completes the output.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["resume", "sign"])]
    pub(crate) shard: Option<Shard>,
    /// Who can restore the originals with `voxshield unlock`: an age recipient, `age1...`. May be given several times.
    #[arg(long, value_name = "RECIPIENT")]
    pub(crate) unlock_to: Vec<String>,
    /// A file of such recipients, one a line.
    #[arg(long, value_name = "FILE")]
    pub(crate) unlock_to_file: Vec<PathBuf>,
    /// Sign the manifest with this private key (Ed25519, PKCS#8 in PEM): writes voxshield.json.sig.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) sign: Option<PathBuf>,
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
    /// The bound on the perturbation, in normalised units (0..1), as a number or a fraction; 4/255 by default, or that of
    /// `--generator`.
    #[arg(long, value_parser = epsilon, allow_hyphen_values = true)]
    pub(crate) epsilon: Option<f64>,
    /// Where voxels may change, by default where `voxshield methods` has the method measured (roi for most): roi, body, full, soft-roi[:KERNEL,ITERATIONS,SIGMA] (labelled voxels with a margin in which
    /// epsilon fades to 0; in voxels, 3,2,2 by default), contour[:WIDTH] (near the labels' outline, 3 voxels by default),
    /// top-k:SHARE (where the image changes most) or keyed-random:SHARE (drawn for each case from the seed).
    #[arg(long, value_parser = support)]
    pub(crate) support: Option<Support>,
    /// Where labels come from: files (the default), or none[:CLASSES] for the body and its classes of intensity (3 by default), for datasets
    /// without labels.
    #[arg(long)]
    pub(crate) labels: Option<LabelSource>,
    /// The share of epsilon (0 to 1) that a label may use, 1 where none is given: LABEL=SHARE,...
    #[arg(long, value_name = "LABEL=SHARE,...")]
    pub(crate) label_weights: Option<LabelWeights>,
    /// Where the perturbation comes from; `voxshield methods` lists the names.
    #[arg(long, default_value = "voxshield", value_parser = method)]
    pub(crate) method: String,
    /// Distribution of `--method random`: rademacher (-epsilon or epsilon, the default), uniform, gaussian, salt-and-pepper[:SHARE]
    /// or sparse[:SHARE].
    #[arg(long, value_parser = noise)]
    pub(crate) noise: Option<RandomNoise>,
    /// How intensities are brought to 0..1.
    #[arg(long, help = format!("How intensities are brought to 0..1: {}; auto by default, or that of --generator", NormalisationChoice::HELP))]
    pub(crate) normalise: Option<NormalisationChoice>,
    /// Protects with a generator (or shared noise) that an earlier run saved, without training; epsilon, support, labels and
    /// normalisation are those of its training.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "preset", "surrogate", "save_generator"])]
    pub(crate) generator: Option<PathBuf>,
    /// Saves the trained generator or shared noise (safetensors), to protect cases that come later. Keep it secret: it shows what was added.
    #[arg(long, value_name = "FILE")]
    pub(crate) save_generator: Option<PathBuf>,
    /// Sizes of networks, patches and steps, compact by default; the flags below change single values.
    #[arg(long, value_enum)]
    pub(crate) preset: Option<Preset>,
    /// Network of the surrogate, or several that take turns, a round each (voxshield and umed3d); `voxshield models` lists them.
    #[arg(long, value_delimiter = ',', value_parser = network)]
    pub(crate) surrogate: Vec<String>,
    /// Random changes between the protected patch and the surrogate, so that the perturbation is optimised for what is left after
    /// them: none, light, strong, or a list of NAME[:PROBABILITY] out of affine, mirror, blur, low-resolution, depth-mean and
    /// gamma.
    #[arg(long)]
    pub(crate) transforms: Option<Transforms>,
    /// Smooths what the generator makes by a Gaussian of SIGMA voxels, within epsilon.
    #[arg(long, value_name = "SIGMA")]
    pub(crate) band_limit: Option<f64>,
    /// Weights that the (first) surrogate starts from: safetensors, or a PyTorch checkpoint of MONAI or
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
    /// Size D,H,W (or one number for a cube) of the tiles of emn-universal and emn-class in voxels; 8 by default.
    #[arg(long, value_parser = patch)]
    pub(crate) tile: Option<[usize; 3]>,
    /// Steps that a sample-wise method (emn, ...) takes on a case at each visit; the method says it otherwise.
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Rounds of surrogate steps on clean cases before the first visit, of methods that perturb against a trained surrogate (tap,
    /// tap-untargeted, sep); 48, or 500 with the preset paper.
    #[arg(long, value_name = "N")]
    pub(crate) training_rounds: Option<usize>,
    /// Share of the support that salm3d perturbs, above 0 and at most 1; 0.1 by default.
    #[arg(long, value_name = "SHARE")]
    pub(crate) share: Option<f64>,
    /// Weight of the inter-slice frequency divergence.
    #[arg(long)]
    pub(crate) isc_weight: Option<f64>,
    /// Form of that divergence: reference, normalised or phase.
    #[arg(long, value_parser = isc_mode)]
    pub(crate) isc_mode: Option<IscMode>,
    /// Distances between slices that it compares, from 1 to this.
    #[arg(long)]
    pub(crate) isc_lags: Option<usize>,
    /// Weight of the semantic prediction divergence.
    #[arg(long)]
    pub(crate) spd_weight: Option<f64>,
    /// Adam's step size for the surrogate.
    #[arg(long)]
    pub(crate) surrogate_rate: Option<f64>,
    /// Adam's step size for the noise generator.
    #[arg(long)]
    pub(crate) noise_rate: Option<f64>,
    /// Seed of every random choice: a number, or random for one from the system's generator, which is printed; 0 by default, or that
    /// of `--generator`.
    #[arg(long, value_name = "N", value_parser = seed)]
    pub(crate) seed: Option<Seed>,
    /// The most memory that the work on one case may take, such as 12G; three quarters of the machine's (or the control group's) by
    /// default. A case that needs more fails before it takes any.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<MemoryLimit>,
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
