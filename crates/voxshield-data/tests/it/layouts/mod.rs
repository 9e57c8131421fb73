//! Dataset layouts, on tiny generated datasets.

use std::path::{Path, PathBuf};

use voxshield_data::{CaseProblem, Dataset, discover};

use crate::support::Nifti;

mod listed;
mod named;
mod refused;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn volume(&self, name: &str) -> &Self {
        let mut file = Nifti::u8(&[2, 2, 2], &[1; 8]);
        file.pair = name.ends_with(".hdr");
        file.write(&self.path().join(name));
        self
    }

    fn volumes(&self, names: &[&str]) -> &Self {
        for name in names {
            self.volume(name);
        }
        self
    }

    fn text(&self, name: &str, content: &str) -> &Self {
        std::fs::write(self.path().join(name), content).unwrap();
        self
    }

    fn discover(&self) -> Dataset {
        discover(self.path()).unwrap()
    }
}

fn ids(dataset: &Dataset) -> Vec<&str> {
    dataset.cases.iter().map(|case| case.id.as_str()).collect()
}

fn problem<'a>(dataset: &'a Dataset, path: &str) -> &'a CaseProblem {
    let found = dataset
        .problems
        .iter()
        .find(|problem| problem.path == Path::new(path));
    found.unwrap_or_else(|| panic!("no problem with {path} in {:?}", dataset.problems))
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}
