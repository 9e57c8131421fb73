use std::path::Path;

use super::{PipelineError, protect::check_folders};
use crate::data::{ImportedCase, import_dicom};

/// Reads DICOM series and writes them as a dataset of NIfTI volumes into the new folder `output`; see [`import_dicom`].
///
/// # Errors
/// [`PipelineError`] when the folders overlap, `output` is not empty, or `input` has no series or cannot be listed; what concerns
/// one case is in the list.
pub fn import(
    input: &Path,
    output: &Path,
    observer: &mut dyn FnMut(&ImportedCase),
) -> Result<Vec<ImportedCase>, PipelineError> {
    check_folders(input, output)?;
    Ok(import_dicom(input, output, observer)?)
}
