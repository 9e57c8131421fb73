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
/// [`LayoutError::NotAFolder`], [`LayoutError::EmptyFolder`], [`LayoutError::DatasetBelow`], [`LayoutError::UnknownLayout`] naming what was looked for, and
/// what [`Layout::scan`] reports.
pub fn discover(root: &Path) -> Result<Dataset, DataError> {
    let tree = Tree::read(root)?;
    if let Some(folder) = dataset_below(&tree) {
        return Err(LayoutError::DatasetBelow {
            path: root.to_path_buf(),
            folder: root.join(folder),
        }
        .into());
    }
    layouts()
        .iter()
        .find(|layout| layout.detect(&tree))
        .ok_or_else(|| LayoutError::UnknownLayout {
            path: root.to_path_buf(),
            layouts: layout_names(),
        })?
        .scan(&tree)
}

/// The first of the sub-folders with a `dataset.json`, where the root has none and every volume lies in one of them: a folder with
/// several datasets would be taken for one, whose channels and labels nobody has said.
fn dataset_below(tree: &Tree) -> Option<&Path> {
    let name = Path::new("dataset.json");
    if tree.has(name) {
        return None;
    }
    let lists = tree
        .files()
        .filter(|file| file.file_name() == Some(name.as_os_str()));
    let folders: Vec<&Path> = lists.filter_map(|file| file.parent()).collect();
    let inside = |volume: &Path| folders.iter().any(|folder| volume.starts_with(folder));
    let all = tree.volumes().all(|(volume, _)| inside(volume));
    folders.first().copied().filter(|_| all)
}

/// All layouts for a message.
pub(super) fn layout_names() -> String {
    let names: Vec<String> = layouts()
        .iter()
        .map(|layout| format!("{} ({})", layout.name(), layout.describe()))
        .collect();
    names.join("; ")
}
