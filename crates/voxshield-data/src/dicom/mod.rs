//! DICOM in: a series of slices becomes a NIfTI volume.
//!
//! | in | out |
//! |---|---|
//! | `images/CASE/`, a folder with the files of one series, in any order and under any names | `images/CASE.nii.gz` |
//! | `labels/CASE.nii.gz`, drawn on the volume as a viewer shows it | `labels/CASE.nii.gz`, the same bytes |
//!
//! That is the plain layout, which is protected like any other. Geometry comes from Image Position, Image Orientation and Pixel
//! Spacing (LPS becomes RAS), the order of the slices from their positions, slope and intercept from Rescale Slope and
//! Intercept. Nothing else of the DICOM header goes into the volume: no name, no date, no identifier.

mod check;
mod error;
mod import;
mod series;
mod slice;

pub use error::DicomError;
pub use import::{ImportedCase, import_dicom};
