//! Folders that are no dataset, and files that make no case.

use std::path::PathBuf;

/// Why a folder has no cases, or a file is in none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// The dataset root is not a folder.
    #[error("{}: {found}: expected a dataset folder", path.display())]
    NotAFolder {
        /// The path given.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The folder has no file at all.
    #[error("{}: the folder is empty: expected a dataset in one of these layouts: {layouts}", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// The known layouts.
        layouts: String,
    },
    /// No layout recognises the folder.
    #[error("{}: not a dataset in a known layout; looked for {layouts}", path.display())]
    UnknownLayout {
        /// The folder.
        path: PathBuf,
        /// The known layouts.
        layouts: String,
    },
    /// A training image without label.
    #[error("{}: no label for this training image: expected {expected}", path.display())]
    MissingLabel {
        /// The image.
        path: PathBuf,
        /// Where the label was looked for.
        expected: String,
    },
    /// A label without image, or a listed image that does not exist.
    #[error("{}: no image: expected {expected}", path.display())]
    MissingImage {
        /// The label, or the image's own path.
        path: PathBuf,
        /// What was looked for.
        expected: String,
    },
    /// A case with fewer, more, or other channels than its dataset.
    #[error("{}: channels {found} instead of {expected}", path.display())]
    Channels {
        /// One image of the case.
        path: PathBuf,
        /// The dataset's channels.
        expected: String,
        /// The case's channels.
        found: String,
    },
    /// Two cases, or two files of one case, with the same name.
    #[error("{}: the case id {id:?} is already taken by {}; rename one of them", path.display(), other.display())]
    DuplicateCase {
        /// The file refused.
        path: PathBuf,
        /// The id.
        id: String,
        /// The file that has it.
        other: PathBuf,
    },
    /// A file of a case whose path cannot be in a manifest.
    #[error("{}: the manifest cannot hold the name {name}: {reason}; rename it", path.display())]
    UnfitName {
        /// The file.
        path: PathBuf,
        /// The name of the file or of a folder in its path, quoted.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// A label that is the file of an image: published as it is, it would give the clean image away.
    #[error("{}: the label of case {id:?} is an image ({}): it would be published unprotected; give the case its label", path.display(), image.display())]
    LabelIsImage {
        /// The label.
        path: PathBuf,
        /// The case.
        id: String,
        /// The image that it is.
        image: PathBuf,
    },
    /// An image with several files that may be its label.
    #[error("{}: two files may be its label, {} and {}; keep one of them in the dataset", path.display(), first.display(), second.display())]
    AmbiguousLabel {
        /// The image.
        path: PathBuf,
        /// One file.
        first: PathBuf,
        /// Another one.
        second: PathBuf,
    },
    /// A folder around datasets, each of which has channels and labels of its own.
    #[error("{}: a folder around a dataset: {} has the dataset.json; give that folder", path.display(), folder.display())]
    DatasetBelow {
        /// The folder given.
        path: PathBuf,
        /// The dataset in it.
        folder: PathBuf,
    },
    /// A file that may hold voxels but belongs to no case: it is not copied, so that nothing leaves unprotected.
    #[error("{}: holds volume data but belongs to no case of the {layout} layout; it is left out: remove or rename it", path.display())]
    UnexpectedFile {
        /// The file.
        path: PathBuf,
        /// The layout.
        layout: &'static str,
    },
}
