//! What all targets have in common.

use std::fs;
use std::path::{Path, PathBuf};

type Run = Box<dyn Fn(&Path, &[u8]) + Send + Sync>;

/// A function and its seeds.
pub struct Prepared(Run, Vec<Vec<u8>>);

/// What is done with the bytes, in a folder to work in, and inputs to begin with.
pub fn prepared(
    run: impl Fn(&Path, &[u8]) + Send + Sync + 'static,
    seeds: Vec<Vec<u8>>,
) -> Prepared {
    Prepared(Box::new(run), seeds)
}

/// A function of bytes, with a folder to work in and seeds to begin with.
pub struct Target {
    folder: tempfile::TempDir,
    run: Run,
    /// Inputs that are valid, or nearly.
    pub seeds: Vec<Vec<u8>>,
}

impl Target {
    /// A target with a folder that `prepare` may put files into.
    pub fn new(prepare: impl FnOnce(&Path) -> Option<Prepared>) -> Option<Self> {
        // Memory where there is such a folder: the disk is not what is tested.
        let shared = Path::new("/dev/shm");
        let place = if shared.is_dir() {
            shared.to_path_buf()
        } else {
            std::env::temp_dir()
        };
        let folder = tempfile::tempdir_in(place).ok()?;
        let Prepared(run, seeds) = prepare(folder.path())?;
        Some(Self { folder, run, seeds })
    }

    /// Runs the function.
    pub fn run(&self, bytes: &[u8]) {
        (self.run)(self.folder.path(), bytes);
    }

    /// For cargo-fuzz: puts the seeds into the corpus, the folder among the arguments of cargo-fuzz. Some of them are made with keys of this process, and
    /// are of no use in another.
    pub fn seed_corpus(&self) {
        if let Some(corpus) = std::env::args()
            .skip(1)
            .find(|argument| Path::new(argument).is_dir())
        {
            for (number, seed) in self.seeds.iter().enumerate() {
                put(Path::new(&corpus), &format!("seed-{number}"), seed);
            }
        }
    }
}

/// Writes a file.
pub fn put(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file in the target's folder");
    path
}
