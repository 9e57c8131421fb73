use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::{
    data::{sha256_bytes, write_private_file_atomic},
    perturb::{PerturbError, TrainingState},
};

/// Storing takes at most this share of the time.
const SHARE: u32 = 20;
/// Hexadecimal digits of SHA-256, before the state.
const DIGITS: usize = 64;

/// The file with the state of an optimisation.
pub(in crate::pipeline) struct TrainingFile {
    path: PathBuf,
    last: Option<(Instant, Duration)>,
}

impl TrainingFile {
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("training"),
            last: None,
        }
    }

    /// Whether a state was stored.
    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The stored state; `None` when there is none, or one that was damaged: then the optimisation starts anew, to the same result.
    pub(in crate::pipeline) fn read(&self) -> Option<TrainingState> {
        let bytes = fs::read(&self.path).ok()?;
        let (sum, state) = bytes.split_at_checked(DIGITS)?;
        if sha256_bytes(state).as_bytes() != sum {
            return None;
        }
        TrainingState::from_bytes(state).ok()
    }

    /// Stores a state, unless too little was done since the last time for what it costs.
    pub(in crate::pipeline) fn save(
        &mut self,
        state: &dyn Fn() -> Result<TrainingState, PerturbError>,
    ) -> Result<(), PerturbError> {
        if let Some((when, took)) = self.last
            && when.elapsed() < SHARE * took
        {
            return Ok(());
        }
        let start = Instant::now();
        let bytes = state()?.to_bytes()?;
        let content = [sha256_bytes(&bytes).as_bytes(), &bytes].concat();
        write_private_file_atomic(&self.path, &content).map_err(|error| {
            PerturbError::Checkpoint {
                source: Box::new(error),
            }
        })?;
        self.last = Some((Instant::now(), start.elapsed()));
        Ok(())
    }
}
