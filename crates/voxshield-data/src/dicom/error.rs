//! What can be wrong with a DICOM series.

/// Why a series gives no volume; [`crate::DataError::Dicom`] adds the path.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DicomError {
    /// Not DICOM, damaged, or compressed in a way that is not read.
    #[error(
        "cannot be read as DICOM ({reason}); remove it from the folder, or decompress the series first (dcmdjpeg, gdcmconv --raw)"
    )]
    Unreadable {
        /// What the decoder said.
        reason: String,
    },
    /// An attribute is missing or makes no sense.
    #[error("{attribute} is missing or unusable: expected {expected}; export the series again")]
    Attribute {
        /// The attribute's name.
        attribute: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A kind of image that is no slice of a volume.
    #[error(
        "{what} is not supported: expected one grey slice of 8 or 16 bits a file; convert the series to NIfTI with another tool"
    )]
    Unsupported {
        /// What it is.
        what: String,
    },
    /// The slices are not those of one volume.
    #[error(
        "{what} differs from that of {other}: the folder has files of several volumes; give each a folder of its own"
    )]
    Mixed {
        /// What differs.
        what: &'static str,
        /// The file that it differs from.
        other: String,
    },
    /// Slices are missing, doubled, or not evenly spaced.
    #[error(
        "slice {position} lies {found:.3} mm from where even spacing has it: a slice is missing, doubled, or the spacing varies; complete the series, or resample it"
    )]
    Spacing {
        /// The slice, counted from 0 along the normal.
        position: usize,
        /// The distance.
        found: f64,
    },
    /// Nothing to import.
    #[error(
        "expected images/CASE/ with the files of one series each, or one folder with the slices of one series; found {found}"
    )]
    NoSeries {
        /// What is there.
        found: &'static str,
    },
    /// Files beside the folders of the series.
    #[error(
        "files lie in no folder ({found}, the first is {first}): expected images/CASE/ with the files of one series each; move them there"
    )]
    Loose {
        /// How many there are.
        found: usize,
        /// The name of one.
        first: String,
    },
    /// A label that no series belongs to.
    #[error(
        "no folder images/{id}: a label has the name of the folder of its series, labels/CASE.nii.gz or another NIfTI file; rename or remove it"
    )]
    NoCase {
        /// The case that the name of the file says.
        id: String,
    },
    /// Too few slices.
    #[error("{found} slices: a volume needs at least two")]
    TooFew {
        /// How many there are.
        found: usize,
    },
}
