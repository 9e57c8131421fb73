//! The registry of layouts.

use std::path::Path;

use super::brats::Brats;
use super::dataset::Dataset;
use super::decathlon::Decathlon;
use super::error::LayoutError;
use super::flare::Flare;
use super::nnunet::NnUnet;
use super::plain::Plain;
use super::tree::Tree;
use crate::error::DataError;

/// A convention of where images and labels are.
pub trait Layout: Sync {
    /// Short name, as in the manifest.
    fn name(&self) -> &'static str;

    /// One line on what it looks like.
    fn describe(&self) -> &'static str;

    /// Whether the files look like this layout; cheap, and not fooled by the others.
    fn detect(&self, tree: &Tree) -> bool;

    /// Sorts the files into cases.
    ///
    /// # Errors
    /// A [`DataError`] when nothing can be said about any case, such as a damaged `dataset.json`; what concerns one case only
    /// goes to [`Dataset::problems`].
    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError>;
}

/// All layouts, in the order in which they are tried: those with a `dataset.json` before those told by names.
#[must_use]
pub fn layouts() -> &'static [&'static dyn Layout] {
    &[&NnUnet, &Decathlon, &Brats, &Flare, &Plain]
}

/// Finds out what dataset a folder is.
///
/// # Errors
/// [`LayoutError::NotAFolder`], [`LayoutError::EmptyFolder`], [`LayoutError::UnknownLayout`] naming what was looked for, and
/// what [`Layout::scan`] reports.
pub fn discover(root: &Path) -> Result<Dataset, DataError> {
    let tree = Tree::read(root)?;
    layouts()
        .iter()
        .find(|layout| layout.detect(&tree))
        .ok_or_else(|| LayoutError::UnknownLayout {
            path: root.to_path_buf(),
            layouts: layout_names(),
        })?
        .scan(&tree)
}

/// All layouts for a message.
pub(super) fn layout_names() -> String {
    let names: Vec<String> = layouts()
        .iter()
        .map(|layout| format!("{} ({})", layout.name(), layout.describe()))
        .collect();
    names.join("; ")
}
