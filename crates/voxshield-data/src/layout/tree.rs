//! The files of a folder, in an order that does not depend on the file system.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::dataset::CaseProblem;
use super::error::LayoutError;
use super::registry::layout_names;
use crate::error::DataError;
use crate::nifti::nifti_stem;

/// All regular files below a folder, relative and sorted; hidden ones (a leading dot, such as macOS's `._` files) are left out.
///
/// Symbolic links to files inside the folder are files. Links that leave it, dangle, or name folders are refused: each
/// becomes a problem of the dataset.
#[derive(Clone, Debug)]
pub struct Tree {
    root: PathBuf,
    files: Vec<PathBuf>,
    refused: Vec<CaseProblem>,
}

impl Tree {
    /// Lists a folder.
    ///
    /// # Errors
    /// [`LayoutError::NotAFolder`] when it is missing or a file, [`LayoutError::EmptyFolder`] when it has no file at all,
    /// [`DataError::Io`] when it cannot be listed.
    pub fn read(root: &Path) -> Result<Self, DataError> {
        let not_a_folder = |found| {
            let path = root.to_path_buf();
            DataError::from(LayoutError::NotAFolder { path, found })
        };
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(not_a_folder("is not a folder")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(not_a_folder("does not exist"));
            }
            Err(error) => return Err(DataError::io("open the folder", root)(error)),
        }
        let canonical = fs::canonicalize(root).map_err(DataError::io("open the folder", root))?;
        let mut tree = Self {
            root: canonical,
            files: Vec::new(),
            refused: Vec::new(),
        };
        tree.visit(Path::new(""))?;
        tree.files.sort();
        if tree.files.is_empty() && tree.refused.is_empty() {
            return Err(LayoutError::EmptyFolder {
                path: root.to_path_buf(),
                layouts: layout_names(),
            }
            .into());
        }
        Ok(tree)
    }

    /// The folder, symbolic links resolved.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Relative paths, sorted.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.files.iter()
    }

    /// Whether a relative path is one of the files.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.files
            .binary_search_by(|file| file.as_path().cmp(path))
            .is_ok()
    }

    /// Relative path and name without ending of every NIfTI file, sorted; of pairs, the header.
    pub fn volumes(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter_map(|path| {
            let stem = nifti_stem(path.file_name()?.to_str()?)?;
            Some((path.as_path(), stem))
        })
    }

    /// As [`Tree::volumes`], of one folder only.
    pub fn volumes_in(&self, folder: &str) -> impl Iterator<Item = (&Path, &str)> {
        self.volumes()
            .filter(move |(path, _)| path.parent() == Some(Path::new(folder)))
    }

    pub(crate) fn refused(&self) -> impl Iterator<Item = &CaseProblem> {
        self.refused.iter()
    }

    fn visit(&mut self, folder: &Path) -> Result<(), DataError> {
        let full = self.root.join(folder);
        let entries = fs::read_dir(&full).map_err(DataError::io("list the folder", &full))?;
        for entry in entries {
            let entry = entry.map_err(DataError::io("list the folder", &full))?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with('.') {
                continue;
            }
            let path = folder.join(&name);
            let kind = entry
                .file_type()
                .map_err(DataError::io("list the folder", &full))?;
            if kind.is_symlink() {
                self.link(&path);
            } else if kind.is_dir() {
                self.visit(&path)?;
            } else if kind.is_file() {
                self.files.push(path);
            }
        }
        Ok(())
    }

    fn link(&mut self, path: &Path) {
        let full = self.root.join(path);
        let reason = match fs::canonicalize(&full) {
            Err(_) => "leads nowhere",
            Ok(target) if !target.starts_with(&self.root) => "leaves the dataset folder",
            // Followed, it could lead round in circles.
            Ok(target) if !target.is_file() => "names a folder",
            Ok(_) => return self.files.push(path.to_path_buf()),
        };
        let name = path.file_name().unwrap_or_default();
        self.refused.push(CaseProblem {
            id: name.to_string_lossy().into_owned(),
            path: path.to_path_buf(),
            error: Arc::new(DataError::SymbolicLink { path: full, reason }),
        });
    }
}
