//! Medical volumes on disk: NIfTI, geometry, intensities, labels, dataset layouts and the manifest.
//!
//! This crate knows files and host arrays; it knows no tensor and no device. What it gives to the rest of VoxShield:
//!
//! * [`StoredVolume`]: a NIfTI-1 or NIfTI-2 file, either byte order, as `.nii`, `.nii.gz` or an `.hdr`/`.img` pair. The bytes
//!   before the voxels are kept, so that writing back changes voxels and nothing else.
//! * [`Volume`]: the image of one case in the canonical order `[channel, depth, height, width]` of the RAS volume
//!   (depth = z, height = x, width = y), whatever the order in the file. [`Volume::perturb`] maps a perturbation of the
//!   canonical array back to stored voxels and keeps `|v' - v| <= epsilon * (hi - lo)` at every voxel, after rounding.
//! * [`LabelMap`]: integral labels in the same canonical order.
//! * [`IntensityRange`], [`Normalisation`]: `x = clamp((v - lo) / (hi - lo), 0, 1)`.
//! * [`discover`]: which files of a folder are cases, for nnU-Net v2, Medical Segmentation Decathlon, BraTS, FLARE and plain
//!   `images/` + `labels/` folders.
//! * [`Manifest`]: what was done, by whom, to which bytes.
//! * [`compare`]: a clean and a protected volume against each other, voxel by voxel.
//! * [`seal_residual`], [`open_residual`]: the encrypted way back from a protected case to the original.
//! * [`import_dicom`]: series of DICOM slices as NIfTI volumes.
//! * [`SigningKey`], [`PublicKey`]: who made a manifest.
//! * [`resample_image`], [`resample_labels`], [`remap_labels`]: another grid and other label values, as scipy makes them, to
//!   repeat a victim's preprocessing.
//! * [`Artefact`], [`Int8Code`]: perturbations as the reference implementation stores them.
//! * [`phantom`]: labelled synthetic volumes for demonstrations and tests.
//!
//! Everything read from a file is untrusted: sizes are checked before memory is taken, and every failure is a
//! [`DataError`] that names the path.
//!
//! # Examples
//!
//! ```
//! use voxshield_data::{Normalisation, PhantomConfig, Volume, write_phantom_dataset};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let dataset = write_phantom_dataset(folder.path(), 1, &PhantomConfig::new([16, 16, 16], 7))?;
//! let case = &dataset.cases[0];
//! let volume = Volume::open(&dataset.absolute(&case.images))?;
//! let range = Normalisation::Mri.range(&volume, 0)?;
//! let delta = ndarray::Array4::from_elem(volume.array().raw_dim(), 0.01);
//! let perturbed = volume.perturb(delta.view(), &[range], 4.0 / 255.0)?;
//! assert!(perturbed.achieved <= 4.0 / 255.0);
//! # Ok(())
//! # }
//! ```

mod artefact;
mod budget;
mod compare;
mod dicom;
mod error;
mod fsx;
mod geometry;
mod grid;
mod hash;
mod intensity;
mod key_file;
mod label;
mod layout;
mod manifest;
mod nifti;
mod perturb;
mod phantom;
mod privacy;
mod quantise;
mod remap;
mod resample;
mod shares;
mod signature;
mod slabs;
mod unlock;
mod volume;

pub use artefact::Artefact;
pub use compare::{Comparison, Worst, compare, compare_files};
pub use dicom::{DicomError, ImportedCase, import_dicom};
pub use error::DataError;
pub use fsx::{
    copy_file_atomic, private_file, remove_stale_temporaries, write_file_atomic,
    write_private_file_atomic,
};
pub use geometry::{Affine, Orientation};
pub use hash::{sha256_bytes, sha256_file, sha256_volume};
pub use intensity::{
    CtStatistics, CtStatisticsBuilder, Foreground, IntensityError, IntensityRange, Modality,
    Normalisation,
};
pub use label::LabelMap;
pub use layout::{
    Case, CaseProblem, Channel, Dataset, Layout, LayoutError, Split, Tree, discover, layouts,
};
pub use manifest::{
    CaseRecord, FailedCase, FileRecord, LabelRecord, MANIFEST_NAME, Manifest, NormalisationRecord,
    OtherRecord, UnlockRecord,
};
pub use nifti::{
    Datatype, Endian, Header, HeaderError, NewVoxels, Scaling, StoredVolume, Value, Version,
    file_parts, is_nifti_name, write_new,
};
pub use perturb::{Perturbed, Perturber};
pub use phantom::{Phantom, PhantomConfig, phantom, write_phantom_dataset};
pub use privacy::{identifying_gzip, identifying_name};
pub use quantise::Int8Code;
pub use remap::{Remapped, remap_labels};
pub use resample::{Boundary, resample_image, resample_labels, resample_linear, shape_at_spacing};
pub use shares::{Shares, SharesBuilder};
pub use signature::{PublicKey, SIGNATURE_NAME, SignatureError, SigningKey, generate_signing_key};
pub use slabs::slabs;
pub use unlock::{
    Identities, Recipients, ResidualCase, UNLOCK_FOLDER, UnlockError, generate_identity,
    open_decrypted_residual, open_residual, seal_residual,
};
pub use volume::Volume;
