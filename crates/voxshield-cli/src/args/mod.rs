mod evaluation;
mod parse;
mod protection;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use voxshield::{
    models::{Precision, Width},
    pipeline::{DeviceChoice, LabelSource, MemoryLimit, NormalisationChoice},
};

use self::parse::{count, epsilon, patch, spacing};
pub(crate) use self::{
    evaluation::{Augment, EvaluateArgs, Optimiser},
    protection::{Preset, PreviewArgs, ProtectArgs, ProtectionArgs},
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
    /// What a file or a dataset is, and which cases `protect` would take: layout, geometry, classes, intensity ranges, epsilon in
    /// stored steps.
    Inspect(InspectArgs),
    /// Read DICOM series, and write them as a dataset of NIfTI volumes that can be protected.
    Import {
        /// A folder with images/CASE/ (the files of one series each) and labels/CASE.nii.gz, or one series.
        dicom: PathBuf,
        /// The folder to create.
        output: PathBuf,
    },
    /// One case, quick: a picture of what protection changes, and the time of the whole run.
    Preview(PreviewArgs),
    /// Protect a dataset: the main job.
    Protect(ProtectArgs),
    /// Check the written files against the clean dataset; or, with the owner's key, that a protected folder is what she signed.
    #[command(
        override_usage = "voxshield verify [OPTIONS] <DATASET> <OUTPUT>\n       voxshield verify --public-key <FILE> <OUTPUT>"
    )]
    Verify {
        /// The clean dataset. Who does not have it gives the protected folder alone, with --public-key: signature and hashes are checked then.
        dataset: PathBuf,
        /// The protected folder.
        #[arg(required_unless_present = "public_key")]
        output: Option<PathBuf>,
        /// Check the signature of the manifest with this key of the owner (Ed25519, PEM).
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// The most memory that the work on one case may take, such as 12G; three quarters of the machine's (or the control group's) by
        /// default. A case that needs more is not checked.
        #[arg(long, value_name = "SIZE", requires = "output")]
        max_memory: Option<MemoryLimit>,
    },
    /// Restore the originals of a protected folder, for those who hold a key.
    Unlock(UnlockArgs),
    /// Make a key: the private one goes to a new file, what others need to stdout.
    Keygen {
        /// The file to create.
        key: PathBuf,
        /// A key for `protect --sign`, with its public half in KEY.pub, instead of one for `unlock`, whose recipient is for
        /// `protect --unlock-to`.
        #[arg(long)]
        signing: bool,
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
pub(crate) struct InspectArgs {
    /// A NIfTI file or a dataset folder.
    pub(crate) path: PathBuf,
    /// The bound to judge by, in normalised units.
    #[arg(long, default_value = "4/255", value_parser = epsilon)]
    pub(crate) epsilon: f64,
    #[arg(long, help = format!("How intensities are brought to 0..1, as for `protect`: {}; auto by default", NormalisationChoice::HELP))]
    pub(crate) normalise: Option<NormalisationChoice>,
    #[arg(long, help = format!("Where labels come from, as for `protect`: {}; files by default", LabelSource::HELP))]
    pub(crate) labels: Option<LabelSource>,
}

#[derive(Args)]
pub(crate) struct UnlockArgs {
    /// The protected folder, with its residuals.
    pub(crate) protected: PathBuf,
    /// The folder to create; it is called RESTORED.partial until it is complete.
    pub(crate) restored: PathBuf,
    /// The file with the private key (AGE-SECRET-KEY-1...).
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) identity: PathBuf,
    /// The owner's key (Ed25519, PEM), by which the manifest must be signed. Without it, nobody vouches for the originals: who knows the
    /// recipient age1... can make a folder that opens with your key.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,
    /// The most memory that the work on one case may take, such as 12G; three quarters of the machine's (or the control group's) by
    /// default. A case that needs more is not restored.
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_memory: Option<MemoryLimit>,
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

#[derive(Args)]
pub(crate) struct ModelsArgs {
    /// Channels of the input.
    #[arg(long, default_value_t = 1, value_parser = count)]
    pub(crate) channels: usize,
    /// Classes, background included.
    #[arg(long, default_value_t = 2, value_parser = count)]
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

#[derive(Args, Clone, Copy)]
pub(crate) struct ComputeArgs {
    /// The type of the networks' activations: f32 (the default), or bf16 or f16, which halve their memory and are faster on
    /// GPUs with matrix units for it. Weights and losses are f32. An error where the device has no
    /// such type.
    #[arg(long)]
    pub(crate) precision: Option<Precision>,
    /// Compute activations again in the backward pass where that is cheap, instead of keeping them:
    /// less memory, a little more time, the same result.
    #[arg(long)]
    pub(crate) checkpointing: bool,
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
    fn one_folder_is_verified_by_a_key_only() {
        let parses = |line: &str| Cli::try_parse_from(line.split_whitespace()).is_ok();
        assert!(parses("voxshield verify clean out"));
        assert!(parses(
            "voxshield verify clean out --public-key k.pub --max-memory 1G"
        ));
        assert!(parses("voxshield verify out --public-key k.pub"));
        assert!(!parses("voxshield verify out"));
        // Nothing of a case is in memory then.
        assert!(!parses(
            "voxshield verify out --public-key k.pub --max-memory 1G"
        ));
    }
}
