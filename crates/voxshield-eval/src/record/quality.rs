use serde::{Deserialize, Serialize};

use crate::{Augmentation, Preprocessing, metrics::NoiseMetrics};

/// How visible a perturbation is and what it costs honest users: a training set against its clean
/// twin. Intensities are normalised with the ranges of the manifest, means are over the cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The training set's name.
    pub training_set: String,
    /// Cases compared.
    pub cases: usize,
    /// PSNR over the whole volume in dB, with the whole normalised range as data range (ten standard deviations, or the window that the
    /// set was protected with); `None` if nothing changed.
    pub psnr_db: Option<f64>,
    /// PSNR over the whole volume in dB with the data range that the clean volume has between its 0.5 and 99.5 percentiles, see
    /// [`psnr_in_percentiles`](crate::metrics::psnr_in_percentiles); `None` if nothing changed.
    pub psnr_percentiles_db: Option<f64>,
    /// PSNR over the labelled voxels in dB; `None` if nothing changed there.
    pub psnr_roi_db: Option<f64>,
    /// SSIM (3D) over the whole volume, with the same data range.
    pub ssim: f64,
    /// SSIM over the labelled voxels, see [`ssim_inside`](crate::metrics::ssim_inside); `None` if
    /// all of them are too close to the border.
    pub ssim_roi: Option<f64>,
    /// Norms and total variation of the perturbation; `linf` is the largest over the cases.
    pub noise: NoiseMetrics,
    /// Share of the voxels that changed.
    pub changed_share: f64,
    /// The change in the units of the files, one entry a channel.
    pub shift: Vec<Shift>,
    /// Spectra along z, before and after.
    pub spectrum: Spectrum,
    /// Dice that networks trained on clean data lose on these volumes.
    pub utility: Vec<Utility>,
    /// Whether the noise gives the label away; `None` if it was not asked for.
    pub detector: Option<DetectorScore>,
}

/// The change of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shift {
    /// The channel, from 0.
    pub channel: usize,
    /// `HU` for CT, else `sd`: standard deviations of the clean voxels above 0.
    pub unit: String,
    /// Mean magnitude over the changed voxels.
    pub mean: f64,
    /// Largest magnitude.
    pub largest: f64,
}

/// Mean power along z: `|DFT_z(x)|^2 / depth`, averaged over lines, channels and cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spectrum {
    /// Frequencies in cycles per voxel, 0 to 0.5, evenly spaced. Entries without a frequency of any
    /// case are left out.
    pub frequencies: Vec<f64>,
    /// Power of the clean volumes.
    pub clean: Vec<f64>,
    /// Power of the protected volumes.
    pub protected: Vec<f64>,
    /// Power of their difference.
    pub delta: Vec<f64>,
}

/// A network trained on clean data, tested on clean and protected volumes of the same cases: the first of those that it was trained on. It
/// knows them, so that the difference of the two scores counts, not their height.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Utility {
    /// The network's name.
    pub network: String,
    /// How it preprocesses.
    pub preprocessing: Preprocessing,
    /// How it augmented in training.
    pub augmentation: Augmentation,
    /// Its seed.
    pub seed: u64,
    /// Cases compared.
    pub cases: usize,
    /// Mean Dice on the clean volumes.
    pub clean_dice: f64,
    /// Mean Dice on the protected volumes.
    pub protected_dice: f64,
}

/// The support detector: local high-pass energy as a score for "this voxel was changed".
///
/// 0.5 is a guess. An AUC of the label much above that of the clean volumes says that the noise
/// shows a reader where the label is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetectorScore {
    /// AUC of the score for the labelled voxels, on the protected volumes.
    pub label_auc: f64,
    /// The same on the clean volumes: what anatomy gives away by itself.
    pub clean_label_auc: f64,
    /// AUC of the score for the voxels that changed, on the protected volumes; `None` if in every case all voxels changed, or none.
    pub support_auc: Option<f64>,
}
